-- Takes up what imports have stored: a job, as refreshing commits as it goes, and belongs to the owner of the aggregates.
-- Never further back than the chunks that retention leaves: what is dropped would come out empty, and be lost.
-- No search_path is set, as a procedure that sets one may not commit: every name is qualified.

CREATE OR REPLACE PROCEDURE ops.refresh_stale_days(p_job_id integer DEFAULT NULL, p_config jsonb DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
    v_until CONSTANT timestamptz := pg_catalog.now();
    v_first CONSTANT timestamptz := (
        SELECT pg_catalog.max(public.time_bucket(p.chunk_interval, pg_catalog.now() - p.drop_after))
        FROM ops.policy AS p
        WHERE p.object LIKE 'telemetry.%history'
    );
    v_span record;
    v_start timestamptz;
    v_end timestamptz;
    v_aggregate text;
BEGIN
    FOR v_span IN
        SELECT
            (pg_catalog.min(s.day) - 2)::timestamp AT TIME ZONE 'UTC' AS span_start,
            (pg_catalog.max(s.day) + 3)::timestamp AT TIME ZONE 'UTC' AS span_end,
            pg_catalog.array_agg(s.stale_id) AS stale_ids
        FROM (
            SELECT d.stale_id, d.day, d.day - pg_catalog.dense_rank() OVER (ORDER BY d.day)::integer AS island
            FROM telemetry.stale_day AS d
        ) AS s
        GROUP BY s.island
        ORDER BY s.island
    LOOP
        v_start := greatest(v_span.span_start, v_first);
        -- never up to now: a bucket that still fills is better read in real time
        v_end := least(v_span.span_end, v_until - INTERVAL '15 minutes');
        FOREACH v_aggregate IN ARRAY ARRAY[
            'bi.meter_15min', 'bi.vehicle_15min', 'bi.meter_hourly', 'bi.vehicle_hourly', 'bi.meter_daily', 'bi.vehicle_daily'
        ] LOOP
            CONTINUE WHEN v_end - v_start < INTERVAL '2 days'; -- nothing is left of it
            CALL public.refresh_continuous_aggregate(
                v_aggregate::pg_catalog.regclass, v_start, v_end, force => v_aggregate LIKE '%daily' -- see telemetry.stale_days
            );
        END LOOP;
        DELETE FROM telemetry.stale_day AS d WHERE d.stale_id = ANY (v_span.stale_ids);
        COMMIT;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.refresh_stale_days (integer, jsonb) FROM PUBLIC;

COMMENT ON PROCEDURE ops.refresh_stale_days (integer, jsonb) IS
'Refreshes all aggregates over the days of telemetry.stale_day, quarter hours first, and forgets these days; runs as a job, of which p_job_id and p_config tell nothing';
