-- Records dropped times, whoever dropped them: the chunk existed at the last run, and does not now. A late reading
-- makes a new chunk, with another name. Merged chunks are in one that stays. Parts of a chunk that no aggregate
-- includes cannot be lost, and are not recorded.

CREATE OR REPLACE FUNCTION telemetry.note_dropped_chunks(p_source text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    UPDATE telemetry.dropped_time AS d
    SET times = d.times + g.times * tstzmultirange(tstzrange(NULL, telemetry.materialized_until(p_source)))
    FROM (
        SELECT
            coalesce(range_agg(k.during) FILTER (WHERE n.chunk IS NULL), '{}')
            - coalesce(range_agg(n.during) FILTER (WHERE n.chunk IS NOT NULL), '{}') AS times
        FROM telemetry.source_chunk AS k
        LEFT JOIN telemetry.list_source_chunks(p_source) AS n ON n.chunk = k.chunk
        WHERE k.source = p_source
    ) AS g
    WHERE d.source = p_source AND NOT isempty(g.times);

    DELETE FROM telemetry.source_chunk AS k
    WHERE k.source = p_source AND NOT EXISTS (
        SELECT FROM telemetry.list_source_chunks(p_source) AS n WHERE n.chunk = k.chunk AND n.during = k.during
    );
    INSERT INTO telemetry.source_chunk (source, chunk, during)
    SELECT p_source, n.chunk, n.during FROM telemetry.list_source_chunks(p_source) AS n
    ON CONFLICT DO NOTHING;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_dropped_chunks (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_dropped_chunks (text) IS
'Adds the times of dropped chunks of p_source (a history or aggregate with its schema), as far as they were materialized, to telemetry.dropped_time, and records the present chunks for the next call';
