-- Alerts that are open stay open by the new settings, or close by them: the windows before now are not judged anew.

CREATE OR REPLACE FUNCTION ops.set_alert_rule(
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
    p_enabled boolean DEFAULT NULL
) RETURNS ops.alert_rule
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_rule ops.alert_rule;
BEGIN
    PERFORM api.await_standbys();
    -- no evaluation goes on by the old settings meanwhile
    PERFORM pg_advisory_xact_lock(hashtextextended('ops.evaluate_alerts', 0));
    v_rule := ops.compose_alert_rule(
        p_name, p_kind, p_threshold, p_upper_threshold, p_window_length, p_least, p_open_after, p_close_after, p_severity,
        p_device_ids, p_enabled
    );
    IF v_rule IS DISTINCT FROM (SELECT r FROM ops.alert_rule AS r WHERE r.name = p_name) THEN
        v_rule.judged_from := now();
        INSERT INTO ops.alert_rule AS r SELECT v_rule.*
        ON CONFLICT (name) DO UPDATE SET
            threshold = excluded.threshold,
            upper_threshold = excluded.upper_threshold,
            window_length = excluded.window_length,
            least = excluded.least,
            open_after = excluded.open_after,
            close_after = excluded.close_after,
            severity = excluded.severity,
            device_ids = excluded.device_ids,
            enabled = excluded.enabled,
            judged_from = excluded.judged_from;
    END IF;
    RETURN v_rule;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], boolean
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], boolean
) TO energy_dba;

COMMENT ON FUNCTION ops.set_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], boolean
) IS
'Sets a rule of ops.alert_rule, or adds one (p_kind), and returns it. Settings that are NULL stay as they are; those of a new rule are those of the shipped rule of its kind; p_device_ids ''{}'' is for all devices. The next run of ops.evaluate_alerts follows. Raises invalid_parameter_value for an unknown kind, and for refused settings: the first, and all further ones (detail)';
