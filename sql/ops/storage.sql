-- Growth is the size of the last complete chunks by the time they cover: after compression, their lasting state.

CREATE OR REPLACE VIEW ops.storage AS
WITH object AS (
    SELECT
        p.object,
        count(c.chunk) AS chunks,
        count(c.chunk) FILTER (WHERE c.is_compressed) AS compressed_chunks,
        coalesce(sum(c.rows_estimated), 0)::bigint AS rows_estimated,
        coalesce(sum(c.raw_bytes), 0)::bigint AS raw_bytes,
        coalesce(sum(c.bytes), 0)::bigint AS bytes,
        round(
            sum(c.raw_bytes) FILTER (WHERE c.is_compressed) / nullif(sum(c.bytes) FILTER (WHERE c.is_compressed), 0), 1
        ) AS compression_ratio,
        coalesce(
            sum(c.bytes) FILTER (WHERE c.range_end > now() - INTERVAL '30 days' AND c.range_end <= now())
            / nullif(extract(EPOCH FROM sum(c.range_end - c.range_start) FILTER (
                WHERE c.range_end > now() - INTERVAL '30 days' AND c.range_end <= now()
            )) / 86400, 0),
            0
        )::bigint AS bytes_a_day
    FROM ops.policy AS p
    LEFT JOIN ops.chunk_list AS c ON c.object = p.object
    GROUP BY p.object
)

SELECT
    o.object, o.chunks, o.compressed_chunks, o.rows_estimated, o.raw_bytes, o.bytes, o.compression_ratio, o.bytes_a_day,
    CASE
        WHEN d.bytes_left IS NOT NULL AND sum(o.bytes_a_day) OVER () > 0 -- greatest would make 0 of NULL
            THEN floor(greatest(d.bytes_left, 0) / sum(o.bytes_a_day) OVER ())::bigint
    END AS days_left
FROM object AS o
CROSS JOIN (SELECT ops.bytes_left() AS bytes_left) AS d;

GRANT SELECT ON ops.storage TO energy_dba;

COMMENT ON VIEW ops.storage IS 'Size of each object of ops.policy, and the days until the disk is full';
COMMENT ON COLUMN ops.storage.object IS 'The table or aggregate';
COMMENT ON COLUMN ops.storage.chunks IS 'Chunks';
COMMENT ON COLUMN ops.storage.compressed_chunks IS 'Chunks in the columnstore';
COMMENT ON COLUMN ops.storage.rows_estimated IS 'Rows, as of compression or the last ANALYZE';
COMMENT ON COLUMN ops.storage.raw_bytes IS 'Its size without compression, bytes';
COMMENT ON COLUMN ops.storage.bytes IS 'Its size, with its indexes, bytes';
COMMENT ON COLUMN ops.storage.compression_ratio IS 'Raw by compressed bytes of its compressed part; NULL without one';
COMMENT ON COLUMN ops.storage.bytes_a_day IS 'Growth per day, bytes: of the chunks that ended in the last 30 days; 0 without any';
COMMENT ON COLUMN ops.storage.days_left IS 'Days until the database reaches the bound of ops.set_disk_bound, all objects together and nothing dropped; NULL without a bound or a known growth';
