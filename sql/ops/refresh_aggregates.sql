-- The refresh of the aggregates of one kind of device: a quarter hour comes before its hour and its day, by
-- construction. It follows TimescaleDB's own records of stale times (telemetry.unrefreshed_times). So it costs as much
-- as has changed, and catches up after late readings, imports, a killed run or a restore. After a minute of one
-- resolution, or of sessions, it continues with the next, and leaves the rest to its next run. Days that TimescaleDB's
-- records may miss (telemetry.note_changed_midnight) are refreshed by force as well. No search_path is set, as a procedure
-- that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.refresh_aggregates(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_kind CONSTANT text := p_config ->> 'kind';
    -- a transaction that the service began before may still commit: it lasts at most 10 seconds
    v_received_until CONSTANT timestamptz := pg_catalog.clock_timestamp() - INTERVAL '10 seconds';
    -- TimescaleDB refreshes in batches that each commit: newest first, its watermark passes times that are not
    -- materialized yet
    c_oldest_first CONSTANT jsonb := '{"refresh_newest_first": false}';
    v_resolution text;
    v_aggregate text;
    v_began timestamptz;
    v_due record;
    v_day record;
    v_is_whole boolean := TRUE;
BEGIN
    -- nothing queues behind a refresh, and it may wait for a long import: the owner's lock_timeout is not for it
    IF pg_catalog.current_setting('lock_timeout') <> '0' THEN
        PERFORM pg_catalog.set_config('lock_timeout', '0', FALSE);
    END IF;
    -- refreshes of this run are noted here, before they begin; those of others by telemetry.note_refreshed_quarters. The
    -- setting outlives a run that fails, so it names the statement that it holds for.
    PERFORM pg_catalog.set_config(
        'energy.sessions_follow', extract(EPOCH FROM pg_catalog.statement_timestamp())::text, FALSE
    );
    PERFORM telemetry.note_dropped_chunks('telemetry.' || v_kind || '_telemetry_history');
    PERFORM telemetry.note_dropped_chunks('bi.' || v_kind || '_15min');
    COMMIT;
    -- days twice: TimescaleDB 2.23 takes the midnight after a forced refresh for changed
    FOREACH v_resolution IN ARRAY ARRAY['15min', 'hourly', 'daily', 'daily'] LOOP
        IF v_aggregate IS DISTINCT FROM v_kind || '_' || v_resolution THEN
            v_aggregate := v_kind || '_' || v_resolution;
            v_began := pg_catalog.clock_timestamp();
        END IF;
        FOR v_due IN SELECT d.due_start, d.due_end FROM telemetry.due_times(v_aggregate) AS d LOOP
            IF pg_catalog.clock_timestamp() > v_began + INTERVAL '1 minute' THEN
                v_is_whole := FALSE;
                EXIT;
            END IF;
            IF v_resolution = '15min' THEN
                -- committed first: once TimescaleDB has forgotten that these times have changed, only this says so
                INSERT INTO telemetry.stale_session (kind, during)
                VALUES (v_kind, tstzmultirange(tstzrange(v_due.due_start, v_due.due_end)));
                COMMIT;
            END IF;
            CALL public.refresh_continuous_aggregate(
                ('bi.' || v_aggregate)::pg_catalog.regclass, v_due.due_start, v_due.due_end, options => c_oldest_first
            );
            FOR v_day IN
                SELECT c.day, pg_catalog.array_agg(c.changed_by) AS changed_by
                FROM telemetry.changed_midnight AS c
                WHERE v_resolution = 'daily' AND c.kind = v_kind
                    AND c.day >= v_due.due_start AND c.day < v_due.due_end
                GROUP BY c.day
            LOOP
                CALL public.refresh_continuous_aggregate(
                    ('bi.' || v_aggregate)::pg_catalog.regclass, v_day.day, v_day.day + telemetry.day_length(v_day.day), force => TRUE
                );
                DELETE FROM telemetry.changed_midnight AS c
                WHERE c.kind = v_kind AND c.day = v_day.day AND c.changed_by = ANY (v_day.changed_by);
            END LOOP;
            COMMIT; -- TimescaleDB 2.23 leaves it to the caller, and only then do the hours learn of their quarter hours
        END LOOP;
        IF v_resolution = '15min' THEN
            v_began := pg_catalog.clock_timestamp();
            WHILE telemetry.store_noted_sessions(v_kind) LOOP
                COMMIT;
                IF pg_catalog.clock_timestamp() > v_began + INTERVAL '1 minute' THEN
                    v_is_whole := FALSE;
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        COMMIT;
    END LOOP;
    PERFORM pg_catalog.set_config('energy.sessions_follow', '', FALSE);
    IF v_is_whole THEN
        UPDATE telemetry.refresh_state AS s
        SET received_until = v_received_until, finished_at = pg_catalog.clock_timestamp()
        WHERE s.kind = v_kind;
    END IF;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.refresh_aggregates (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.refresh_aggregates (integer, jsonb) IS
'Refreshes the stale parts of the aggregates of one kind of device (kind of p_config: meter or vehicle), quarter hours first; runs as a job, and p_job_id is ignored';
