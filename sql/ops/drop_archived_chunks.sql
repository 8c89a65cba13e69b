-- Retention where chunks are archived first: drops what is due and has a verified copy, if no row has changed since. Nobody
-- can write to the chunk from when it is looked at until it is gone. What has changed is forgotten, and archived again.
-- No search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.drop_archived_chunks(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_object CONSTANT text := p_config ->> 'object';
    v_stream CONSTANT text := pg_catalog.substring(v_object, '[.](meter|vehicle)_');
    v_chunk record;
    v_fingerprint numeric;
BEGIN
    PERFORM ops.guard_chunks();
    COMMIT;
    FOR v_chunk IN
        SELECT
            pg_catalog.format('%I.%I', i.chunk_schema, i.chunk_name)::pg_catalog.regclass AS chunk,
            a.range_start, a.range_end, a.fingerprint
        FROM timescaledb_information.chunks AS i
        JOIN ops.archived_chunk AS a
            ON a.stream = v_stream AND i.range_start = a.range_start AND i.range_end = a.range_end
        WHERE
            v_object = i.hypertable_schema || '.' || i.hypertable_name
            AND i.range_end <= pg_catalog.now() - (p_config ->> 'drop_after')::interval
            AND (a.keep_until IS NULL OR a.keep_until <= pg_catalog.now())
            AND a.dropped_at IS NULL -- a chunk that came again is not the one that was archived
        ORDER BY i.range_start
    LOOP
        EXECUTE pg_catalog.format('LOCK TABLE %s IN EXCLUSIVE MODE', v_chunk.chunk);
        SELECT s.fingerprint INTO v_fingerprint
        FROM ops.summarize_readings(v_stream, v_chunk.range_start, v_chunk.range_end) AS s;
        IF v_fingerprint = v_chunk.fingerprint THEN
            PERFORM ops.guard_chunks(v_chunk.chunk);
            PERFORM public.drop_chunks(
                v_object::pg_catalog.regclass, older_than => v_chunk.range_end, newer_than => v_chunk.range_start
            );
            UPDATE ops.archived_chunk AS a SET dropped_at = pg_catalog.now(), keep_until = NULL
            WHERE a.stream = v_stream AND a.range_start = v_chunk.range_start;
        ELSE
            DELETE FROM ops.archived_chunk AS a WHERE a.stream = v_stream AND a.range_start = v_chunk.range_start;
        END IF;
        COMMIT;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.drop_archived_chunks (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.drop_archived_chunks (integer, jsonb) IS
'Drops the chunks of the history that is the object of p_config, if they are older than its drop_after and energy archive has a verified copy of them as they are; runs as a job, of which p_job_id tells nothing';
