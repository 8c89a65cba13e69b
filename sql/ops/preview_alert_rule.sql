-- The dry run of ops.set_alert_rule: judges the past by the rule as it would be, and stores nothing.

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
    v_from timestamptz;
BEGIN
    IF NOT coalesce(p_past > INTERVAL '0' AND p_past <= INTERVAL '731 days', FALSE) THEN
        RAISE EXCEPTION 'p_past must be a time of up to 731 days, not %', coalesce(p_past::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_from := telemetry.quarter_of(now() - p_past);
    v_rule.judged_from := '-infinity';
    RETURN QUERY
    SELECT k.kind, s.device_id, s.opened_at, s.closed_at, s.value, telemetry.describe_alert(v_rule, s.value, s.details)
    FROM unnest(telemetry.alert_device_kinds(v_rule.kind)) AS k (kind)
    CROSS JOIN LATERAL (
        SELECT w.*
        FROM telemetry.list_alert_spans(v_rule, k.kind, v_from, telemetry.quarter_of(now()), v_rule.device_ids) AS w
        WHERE v_rule.kind <> 'device_silent'
        UNION ALL
        SELECT n.*
        FROM telemetry.list_silences(v_rule, k.kind, v_from, now(), ARRAY(
            SELECT d.device_id FROM telemetry.list_devices() AS d
            WHERE d.kind = k.kind AND (v_rule.device_ids IS NULL OR d.device_id = ANY (v_rule.device_ids))
        )) AS n
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
'The alerts that a rule, with the settings given (as for ops.set_alert_rule), would have opened in the last p_past (at most 731 days), by what is stored now: device, opened and closed (NULL: still open), the value of the newest fault, and the reason in words. Stores nothing. Raises as ops.set_alert_rule does, and invalid_parameter_value for another p_past';
