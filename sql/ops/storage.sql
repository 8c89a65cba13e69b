-- Growth is what the last complete chunks took for the time they cover: after compression, which is how they stay.

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

COMMENT ON VIEW ops.storage IS 'What each object of ops.policy takes, and how long the disk lasts';
COMMENT ON COLUMN ops.storage.object IS 'The table or aggregate';
COMMENT ON COLUMN ops.storage.chunks IS 'Chunks';
COMMENT ON COLUMN ops.storage.compressed_chunks IS 'Those of them that are in the columnstore';
COMMENT ON COLUMN ops.storage.rows_estimated IS 'Rows: as they were compressed, or as the last ANALYZE found';
COMMENT ON COLUMN ops.storage.raw_bytes IS 'What it would take without compression, bytes';
COMMENT ON COLUMN ops.storage.bytes IS 'What it takes, with its indexes, bytes';
COMMENT ON COLUMN ops.storage.compression_ratio IS 'Raw by compressed bytes of what is compressed; NULL where nothing is';
COMMENT ON COLUMN ops.storage.bytes_a_day IS 'What a day takes of it, bytes: of the chunks that ended in the last 30 days; 0 where none has';
COMMENT ON COLUMN ops.storage.days_left IS 'Days until the database takes what ops.set_disk_bound says, all objects together and nothing dropped; NULL where that or the growth is unknown';
