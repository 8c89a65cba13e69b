-- For the aggregates: TimescaleDB makes a columnstore policy of one only beside a refresh policy of its own. No
-- search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.compress_due_chunks(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_chunk regclass;
BEGIN
    FOR v_chunk IN
        SELECT c.chunk::pg_catalog.regclass
        FROM ops.chunk_list AS c
        WHERE
            c.object = p_config ->> 'object'
            AND NOT c.is_compressed
            AND c.range_end <= pg_catalog.now() - (p_config ->> 'compress_after')::interval
        ORDER BY c.range_start
    LOOP
        PERFORM public.compress_chunk(v_chunk);
        COMMIT;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.compress_due_chunks (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.compress_due_chunks (integer, jsonb) IS
'Moves the chunks of the object of p_config that are older than its compress_after to the columnstore; runs as a job, and p_job_id is ignored';
