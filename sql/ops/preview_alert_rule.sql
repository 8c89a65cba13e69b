-- The dry run of ops.set_alert_rule: judges the past by the rule as it would be, and stores nothing. A mean beyond a limit has a
-- reading beyond it, so daily extremes choose the devices of these kinds. What would take minutes is refused before it begins.

CREATE OR REPLACE FUNCTION ops.preview_alert_rule(
    p_name text,
    p_kind text DEFAULT NULL,
    p_threshold double precision DEFAULT NULL,
    p_upper_threshold double precision DEFAULT NULL,
    p_window_length interval DEFAULT NULL,
    p_least double precision DEFAULT NULL,
    p_open_after interval DEFAULT NULL,
    p_close_after interval DEFAULT NULL,
    p_severity text DEFAULT NULL,
    p_device_ids text [] DEFAULT NULL,
    p_past interval DEFAULT '30 days'
) RETURNS TABLE (
    kind text, device_id text, opened_at timestamptz, closed_at timestamptz, value double precision, reason text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_rule ops.alert_rule := ops.compose_alert_rule(
        p_name, p_kind, p_threshold, p_upper_threshold, p_window_length, p_least, p_open_after, p_close_after, p_severity,
        p_device_ids, NULL
    );
    v_step CONSTANT interval := CASE v_rule.kind WHEN 'charger_fading' THEN INTERVAL '1 day' ELSE INTERVAL '15 minutes' END;
    v_from timestamptz;
    v_until CONSTANT timestamptz := telemetry.quarter_of(now());
    -- 10 to 15 s of a processor
    v_most CONSTANT bigint := 400000;
    v_is_mean CONSTANT boolean := v_rule.kind IN ('battery_hot', 'voltage_outside');
    v_kinds text[];
    v_ids text[];
    v_windows bigint;
BEGIN
    IF coalesce(p_past NOT BETWEEN INTERVAL '15 minutes' AND INTERVAL '366 days', TRUE) THEN
        RAISE EXCEPTION 'p_past is a time from 15 minutes to 366 days, not %', coalesce(p_past::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_from := telemetry.quarter_of(now() - p_past);
    v_rule.judged_from := '-infinity';
    SELECT array_agg(d.kind), array_agg(d.device_id) INTO v_kinds, v_ids
    FROM telemetry.list_devices() AS d
    WHERE
        v_rule.kind <> 'readings_rejected'
        AND d.kind = ANY (telemetry.alert_device_kinds(v_rule.kind))
        AND (v_rule.device_ids IS NULL OR d.device_id = ANY (v_rule.device_ids))
        AND (NOT v_is_mean OR d.device_id IN (
            SELECT b.device_id
            FROM unnest(telemetry.alert_device_kinds(v_rule.kind)) AS k (kind)
            CROSS JOIN telemetry.fleet AS f
            CROSS JOIN LATERAL telemetry.sum_buckets(
                k.kind, 'daily',
                date_trunc('day', v_from - v_rule.window_length - v_rule.open_after - v_rule.close_after, f.time_zone), v_until,
                v_rule.device_ids
            ) AS b
            CROSS JOIN LATERAL (VALUES (b.measure_min), (b.measure_max)) AS m (extreme)
            WHERE v_is_mean AND telemetry.is_beyond(
                v_rule.kind, telemetry.alert_value(v_rule.kind, v_rule.window_length, NULL, NULL, NULL, NULL, m.extreme, 1),
                v_rule.threshold, v_rule.upper_threshold
            )
        ));
    v_windows := coalesce(cardinality(v_ids), 0) * ceil(extract(EPOCH FROM p_past) / extract(EPOCH FROM v_step));
    IF v_windows > v_most THEN
        RAISE EXCEPTION 'a preview judges at most % windows, not % of % devices', v_most, v_windows, cardinality(v_ids)
            USING ERRCODE = 'program_limit_exceeded', HINT = format(
                'give p_device_ids with at most %s of them, or p_past => ''%s''',
                v_most * cardinality(v_ids) / v_windows, justify_hours(v_most / cardinality(v_ids) * v_step)
            );
    END IF;

    RETURN QUERY
    SELECT k.kind, s.device_id, s.opened_at, s.closed_at, s.value, telemetry.describe_alert(v_rule, s.value, s.details)
    FROM (
        SELECT d.kind, array_agg(d.device_id) AS device_ids
        FROM unnest(v_kinds, v_ids) AS d (kind, device_id)
        GROUP BY d.kind
        UNION ALL
        -- a device may have no other readings than rejected ones
        SELECT r.kind, v_rule.device_ids
        FROM unnest(telemetry.alert_device_kinds(v_rule.kind)) AS r (kind)
        WHERE v_rule.kind = 'readings_rejected'
    ) AS k
    CROSS JOIN LATERAL (
        SELECT w.*
        FROM telemetry.list_alert_spans(v_rule, k.kind, v_from, v_until, k.device_ids) AS w
        WHERE v_rule.kind <> 'device_silent'
        UNION ALL
        SELECT n.*
        FROM telemetry.list_silences(v_rule, k.kind, v_from, now(), k.device_ids) AS n
        WHERE v_rule.kind = 'device_silent'
    ) AS s
    ORDER BY s.opened_at, k.kind, s.device_id;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.preview_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], interval
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.preview_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], interval
) TO energy_dba;

COMMENT ON FUNCTION ops.preview_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], interval
) IS
'The alerts that a rule, with the settings given (as for ops.set_alert_rule), would have opened in the last p_past, by what is stored now: device, opened and closed (NULL: still open), the value of the newest fault, and the reason in words. Stores nothing. Raises as ops.set_alert_rule does, and program_limit_exceeded for more windows than it can judge in half a minute, with the devices and the p_past that fit (hint)';
