-- For the aggregates: TimescaleDB makes a columnstore policy of one only beside a refresh policy of its own. No
-- search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.compress_due_chunks(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_chunk regclass;
    v_kept text;
BEGIN
    FOR v_chunk IN
        SELECT pg_catalog.to_regclass(c.chunk)
        FROM ops.chunk_list AS c
        WHERE
            c.object = p_config ->> 'object'
            AND NOT c.is_compressed
            AND c.range_end <= pg_catalog.now() - (p_config ->> 'compress_after')::interval
        ORDER BY c.range_start
    LOOP
        -- retention may have dropped it meanwhile
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_class AS r WHERE r.oid = v_chunk);
        BEGIN
            PERFORM public.compress_chunk(v_chunk);
        EXCEPTION
            WHEN undefined_table OR undefined_object THEN NULL;
            WHEN lock_not_available THEN
                v_kept := pg_catalog.format(
                    '%s of %s is not compressed, as its lock could not be had; the next run tries again. Locks are held by %s',
                    v_chunk, p_config ->> 'object', coalesce(ops.describe_lock_holders(), 'nobody any more')
                );
        END;
        COMMIT;
    END LOOP;
    IF v_kept IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = v_kept;
    END IF;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.compress_due_chunks (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.compress_due_chunks (integer, jsonb) IS
'Moves the chunks of the object of p_config that are older than its compress_after to the columnstore; runs as a job, and p_job_id is ignored. Raises lock_not_available, after the other chunks, if another session held one';
