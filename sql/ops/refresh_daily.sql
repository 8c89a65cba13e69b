-- The refresh of the daily aggregates: which days, is asked beforehand, and they are refreshed whether or not TimescaleDB
-- thinks they need it (see telemetry.stale_days). The last of them may lie a day beyond end_offset, but is always over.
-- No search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.refresh_daily(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    v_start CONSTANT timestamptz := pg_catalog.now() - (p_config ->> 'start_offset')::interval;
    v_end CONSTANT timestamptz := pg_catalog.now() - (p_config ->> 'end_offset')::interval;
    v_over CONSTANT tstzmultirange := telemetry.whole_buckets(
        pg_catalog.tstzmultirange(pg_catalog.tstzrange(v_start, pg_catalog.now())),
        '1 day',
        (SELECT f.time_zone FROM telemetry.fleet AS f)
    );
    v_aggregate text;
    v_span tstzrange;
BEGIN
    FOREACH v_aggregate IN ARRAY CASE
        WHEN p_config ? 'object' THEN ARRAY[pg_catalog.substr(p_config ->> 'object', 4)]
        ELSE ARRAY['meter_daily', 'vehicle_daily']
    END
    LOOP
        FOR v_span IN
            SELECT d.span
            FROM pg_catalog.unnest(telemetry.stale_days(v_aggregate, v_start, v_end) * v_over) AS d (span)
        LOOP
            CALL public.refresh_continuous_aggregate(
                ('bi.' || v_aggregate)::pg_catalog.regclass,
                pg_catalog.lower(v_span), pg_catalog.upper(v_span), force => TRUE
            );
            -- TimescaleDB 2.23 leaves its log as it was after a refresh by force, and the day would be stale for ever; the
            -- second one makes good what the refresh between them may miss
            IF telemetry.stale_times(v_aggregate) && v_span THEN
                CALL public.refresh_continuous_aggregate(
                    ('bi.' || v_aggregate)::pg_catalog.regclass, pg_catalog.lower(v_span), pg_catalog.upper(v_span)
                );
                CALL public.refresh_continuous_aggregate(
                    ('bi.' || v_aggregate)::pg_catalog.regclass,
                    pg_catalog.lower(v_span), pg_catalog.upper(v_span), force => TRUE
                );
            END IF;
        END LOOP;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.refresh_daily (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.refresh_daily (integer, jsonb) IS
'Refreshes the daily aggregates over the days that are stale, from start_offset to end_offset (of p_config, intervals) ago, or the one that is its object; runs as a job, of which p_job_id tells nothing';
