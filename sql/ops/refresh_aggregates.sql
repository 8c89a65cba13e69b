-- The refresh of the aggregates of one kind of device: a quarter hour comes before its hour and its day, by construction. It
-- follows TimescaleDB's own account of what is stale (telemetry.unrefreshed_times), so it costs what has changed, and catches
-- up with whatever was missed: late readings, imports, a killed run, a restore. After a minute of one resolution it goes on
-- to the next, and leaves the rest to its next run.
-- Days are refreshed by force, as TimescaleDB's account of them can miss one (telemetry.enclosing_buckets).
-- No search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.refresh_aggregates(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_stream CONSTANT text := p_config ->> 'stream';
    -- a transaction that the service began before may still commit: it lasts at most 10 seconds
    v_received_until CONSTANT timestamptz := pg_catalog.clock_timestamp() - INTERVAL '10 seconds';
    -- TimescaleDB refreshes in batches that each commit: newest first, its watermark passes what is not materialized yet
    c_oldest_first CONSTANT jsonb := '{"refresh_newest_first": false}';
    v_resolution text;
    v_aggregate text;
    v_began timestamptz;
    v_due record;
    v_end timestamptz;
    v_is_whole boolean := TRUE;
BEGIN
    PERFORM telemetry.note_dropped_chunks('telemetry.' || v_stream || '_telemetry_history');
    PERFORM telemetry.note_dropped_chunks('bi.' || v_stream || '_15min');
    COMMIT;
    FOREACH v_resolution IN ARRAY ARRAY['15min', 'hourly', 'daily'] LOOP
        v_aggregate := v_stream || '_' || v_resolution;
        v_began := pg_catalog.clock_timestamp();
        FOR v_due IN SELECT d.due_start, d.due_end FROM telemetry.due_times(v_aggregate) AS d LOOP
            IF pg_catalog.clock_timestamp() > v_began + INTERVAL '1 minute' THEN
                v_is_whole := FALSE;
                EXIT;
            END IF;
            CALL public.refresh_continuous_aggregate(
                ('bi.' || v_aggregate)::pg_catalog.regclass, v_due.due_start, v_due.due_end,
                force => v_resolution = 'daily', options => c_oldest_first
            );
            -- TimescaleDB 2.23 leaves its log as it was after a refresh by force, and the day would be stale for ever. A plain
            -- one clears it, up to the next midnight, where a remnant would make the next day stale; the last one makes good
            -- what the plain one may miss.
            IF v_resolution = 'daily' AND telemetry.unrefreshed_times(v_aggregate)
                && pg_catalog.tstzrange(v_due.due_start, v_due.due_end)
            THEN
                v_end := least(
                    v_due.due_end + telemetry.day_length(v_due.due_end), telemetry.refresh_limit(v_aggregate)
                );
                CALL public.refresh_continuous_aggregate(
                    ('bi.' || v_aggregate)::pg_catalog.regclass, v_due.due_start, v_end, options => c_oldest_first
                );
                CALL public.refresh_continuous_aggregate(
                    ('bi.' || v_aggregate)::pg_catalog.regclass, v_due.due_start, v_end, force => TRUE,
                    options => c_oldest_first
                );
            END IF;
            COMMIT; -- TimescaleDB 2.23 leaves it to the caller, and only then do the hours learn of their quarter hours
        END LOOP;
    END LOOP;
    IF v_is_whole THEN
        UPDATE telemetry.refresh_state AS s
        SET received_until = v_received_until, finished_at = pg_catalog.clock_timestamp()
        WHERE s.stream = v_stream;
    END IF;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.refresh_aggregates (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.refresh_aggregates (integer, jsonb) IS
'Refreshes what is stale in the aggregates of one kind of device (stream of p_config: meter or vehicle), quarter hours first; runs as a job, and p_job_id is ignored';
