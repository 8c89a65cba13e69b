-- Retention: drops due chunks, if their aggregates include all of their readings. With archiving, it also needs a
-- verified copy of the present contents. Nobody can write to a chunk between its check and its drop. The archive of a
-- chunk that has changed since is forgotten, and made again. Readings queue behind its wait for a lock, which the owner's
-- lock_timeout ends; then it leaves the rest to the next run. No search_path is set, as a procedure that sets one may
-- not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.drop_due_chunks(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_object CONSTANT text := p_config ->> 'object';
    v_kind CONSTANT text := pg_catalog.substring(v_object, '[.](meter|vehicle)_');
    v_is_archived CONSTANT boolean := coalesce((p_config ->> 'archive')::boolean, FALSE);
    v_chunk record;
    v_archived ops.archived_chunk;
    v_kept text;
BEGIN
    -- so that a chunk that no refresh has seen, too, is recorded as dropped afterwards
    PERFORM telemetry.note_dropped_chunks(d.source) FROM telemetry.dropped_time AS d WHERE d.source = v_object;
    IF v_is_archived THEN
        PERFORM ops.guard_chunks();
    END IF;
    COMMIT;
    FOR v_chunk IN
        SELECT
            c.range_start, c.range_end, c.chunk::pg_catalog.regclass AS chunk
        FROM ops.chunk_list AS c
        WHERE c.object = v_object AND c.range_end <= pg_catalog.now() - (p_config ->> 'drop_after')::interval
        -- newest first: a drop marks the first microsecond after the chunk as stale, too
        ORDER BY c.range_start DESC
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('LOCK TABLE %s IN EXCLUSIVE MODE', v_chunk.chunk);
            IF telemetry.is_taken_up(v_object, v_chunk.range_start, v_chunk.range_end) THEN
                v_archived := NULL;
                SELECT a.* INTO v_archived
                FROM ops.archived_chunk AS a
                WHERE a.kind = v_kind AND a.range_start = v_chunk.range_start AND a.range_end = v_chunk.range_end
                    AND a.dropped_at IS NULL; -- a new chunk of these times is not the archived one
                IF NOT v_is_archived THEN
                    PERFORM public.drop_chunks(
                        v_object::pg_catalog.regclass, older_than => v_chunk.range_end, newer_than => v_chunk.range_start
                    );
                ELSIF v_archived.keep_until IS NULL OR v_archived.keep_until <= pg_catalog.now() THEN
                    IF v_archived.fingerprint = (
                        SELECT s.fingerprint FROM ops.summarize_readings(v_kind, v_chunk.range_start, v_chunk.range_end) AS s
                    ) THEN
                        PERFORM ops.guard_chunks(v_chunk.chunk);
                        PERFORM public.drop_chunks(
                            v_object::pg_catalog.regclass, older_than => v_chunk.range_end, newer_than => v_chunk.range_start
                        );
                        UPDATE ops.archived_chunk AS a SET dropped_at = pg_catalog.now(), keep_until = NULL
                        WHERE a.kind = v_kind AND a.range_start = v_chunk.range_start;
                    ELSE
                        DELETE FROM ops.archived_chunk AS a
                        WHERE a.kind = v_kind AND a.range_start = v_archived.range_start AND a.dropped_at IS NULL;
                    END IF;
                END IF;
                -- ops.lost_times tells by it what others have dropped
                UPDATE telemetry.dropped_time AS d SET dropped_until = greatest(d.dropped_until, v_chunk.range_end)
                WHERE d.source = v_object
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = v_chunk.chunk);
            END IF;
        EXCEPTION
            WHEN lock_not_available THEN
                v_kept := pg_catalog.format(
                    '%s of %s is not dropped, as its lock could not be had; the next run tries again. Locks are held by %s',
                    v_chunk.chunk, v_object, coalesce(ops.describe_lock_holders(), 'nobody any more')
                );
        END;
        COMMIT;
        EXIT WHEN v_kept IS NOT NULL;
    END LOOP;
    IF v_kept IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = v_kept;
    END IF;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.drop_due_chunks (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.drop_due_chunks (integer, jsonb) IS
'Drops the chunks of the object of p_config that are older than its drop_after, if every aggregate of them includes all of their readings and, with archive, energy archive has a verified copy of their present contents; runs as a job, and p_job_id is ignored. Raises lock_not_available if another session held a chunk or its table';
