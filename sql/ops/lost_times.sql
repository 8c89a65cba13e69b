-- Chunks that vanished by another hand than that of the drop job: by TRUNCATE, drop_chunks or DROP TABLE. Dropped times
-- are recorded at each refresh; chunks that vanished since the last one are added.

CREATE OR REPLACE FUNCTION ops.lost_times(p_source text) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT
        d.times + coalesce(v.times, '{}')
        - CASE
            WHEN d.dropped_until IS NULL THEN '{}'::tstzmultirange
            ELSE tstzmultirange(tstzrange(NULL, d.dropped_until))
        END
    FROM telemetry.dropped_time AS d
    CROSS JOIN LATERAL (
        SELECT
            range_agg(k.during) FILTER (WHERE to_regclass(k.chunk) IS NULL)
            - coalesce((SELECT range_agg(n.during) FROM telemetry.list_source_chunks(p_source) AS n), '{}') AS times
        FROM telemetry.source_chunk AS k
        WHERE k.source = p_source
    ) AS v
    WHERE d.source = p_source;
$$;

REVOKE EXECUTE ON FUNCTION ops.lost_times (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.lost_times (text) IS
'The times of p_source, a history or aggregate with its schema, whose chunks were removed by another than the job of duty drop';
