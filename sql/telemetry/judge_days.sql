-- A charger that fades loses a little each week: the newest days are compared with the four times as many before them.
-- Only days count for which both sides have 90 % of their readings.

CREATE OR REPLACE FUNCTION telemetry.judge_days(
    p_rule ops.alert_rule, p_from timestamptz, p_until timestamptz, p_device_ids text [] DEFAULT NULL
) RETURNS TABLE (
    device_id text, judged_at timestamptz, is_fault boolean, value double precision, details jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_zone CONSTANT text := (SELECT f.time_zone FROM telemetry.fleet AS f);
    v_days CONSTANT integer := extract(EPOCH FROM p_rule.window_length) / 86400;
    v_first CONSTANT timestamp := date_trunc('day', p_from AT TIME ZONE v_zone) - make_interval(days => 5 * v_days);
    v_end CONSTANT timestamp := date_trunc('day', p_until AT TIME ZONE v_zone);
BEGIN
    RETURN QUERY
    WITH bucket AS MATERIALIZED (
        SELECT
            b.device_id, b.bucket, b.kwh_ac, b.kwh_dc, greatest(i.own_interval, b.meter_interval) AS longest_interval
        FROM telemetry.alert_buckets(
            p_rule.kind, 'vehicle', 'daily', v_first AT TIME ZONE v_zone, v_end AT TIME ZONE v_zone, p_device_ids
        ) AS b
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'vehicle' AND p.device_id = b.device_id
        LEFT JOIN telemetry.vehicle_current_status AS v ON v.vehicle_id = b.device_id
        CROSS JOIN LATERAL (
            SELECT
                telemetry.expected_interval(p.expected_interval, v.observed_interval) AS own_interval,
                (b.bucket AT TIME ZONE v_zone + INTERVAL '1 day') AT TIME ZONE v_zone - b.bucket AS length
        ) AS i
        WHERE
            b.readings >= 0.9 * telemetry.expected_readings(i.length, i.own_interval)
            AND b.meter_readings >= 0.9 * telemetry.expected_readings(i.length, b.meter_interval)
    ),
    figure AS (
        SELECT
            d.device_id,
            (t.day + INTERVAL '1 day') AT TIME ZONE v_zone AS judged_at,
            (sum(b.kwh_ac::numeric) OVER newest)::double precision AS kwh_ac,
            (sum(b.kwh_dc::numeric) OVER newest)::double precision AS kwh_dc,
            (sum(b.kwh_ac::numeric) OVER before)::double precision AS kwh_ac_before,
            (sum(b.kwh_dc::numeric) OVER before)::double precision AS kwh_dc_before,
            d.longest_interval
        FROM (SELECT k.device_id, max(k.longest_interval) AS longest_interval FROM bucket AS k GROUP BY k.device_id) AS d
        CROSS JOIN generate_series(v_first, v_end - INTERVAL '1 day', INTERVAL '1 day') AS t (day)
        LEFT JOIN bucket AS b ON b.device_id = d.device_id AND b.bucket = t.day AT TIME ZONE v_zone
        WINDOW
            newest AS (PARTITION BY d.device_id ORDER BY t.day ROWS BETWEEN v_days - 1 PRECEDING AND CURRENT ROW),
            before AS (PARTITION BY d.device_id ORDER BY t.day ROWS BETWEEN 5 * v_days - 1 PRECEDING AND v_days PRECEDING)
    ),
    judged AS (
        SELECT
            f.*, r.newest AS ratio, r.before AS ratio_before,
            round((r.before - r.newest)::numeric, 4)::double precision AS value
        FROM figure AS f
        CROSS JOIN telemetry.fleet AS l
        CROSS JOIN LATERAL (
            SELECT
                telemetry.efficiency_ratio(f.kwh_ac, f.kwh_dc, p_rule.window_length, f.longest_interval, l.standby_kw) AS newest,
                telemetry.efficiency_ratio(
                    f.kwh_ac_before, f.kwh_dc_before, p_rule.window_length, f.longest_interval, l.standby_kw
                ) AS before
        ) AS r
        WHERE f.judged_at >= p_from AND f.judged_at <= p_until
    )
    SELECT
        j.device_id, j.judged_at, v.is_fault, j.value,
        CASE WHEN v.is_fault THEN jsonb_build_object(
            'efficiency_ratio', j.ratio, 'kwh_consumed_ac', trim_scale(round(j.kwh_ac::numeric, 6)),
            'efficiency_ratio_before', j.ratio_before, 'kwh_consumed_ac_before', trim_scale(round(j.kwh_ac_before::numeric, 6))
        ) END
    FROM judged AS j
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN least(j.kwh_ac, j.kwh_ac_before) >= p_rule.least
                THEN telemetry.is_beyond(p_rule.kind, j.value, p_rule.threshold, p_rule.upper_threshold)
        END AS is_fault
    ) AS v;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.judge_days (ops.alert_rule, timestamptz, timestamptz, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.judge_days (ops.alert_rule, timestamptz, timestamptz, text []) IS
'As telemetry.judge_windows, for a rule of kind charger_fading: at each midnight of the fleet''s time zone, the points of ratio that the window is below the four times as long time before it';
