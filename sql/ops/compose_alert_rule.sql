-- Settings that are left out keep their value; those of a new rule get the value of the shipped rule of its kind. So a
-- preview has the rule that would be set.

CREATE OR REPLACE FUNCTION ops.compose_alert_rule(
    p_name text,
    p_kind text,
    p_threshold double precision,
    p_upper_threshold double precision,
    p_window_length interval,
    p_least double precision,
    p_open_after interval,
    p_close_after interval,
    p_severity text,
    p_device_ids text [],
    p_enabled boolean
) RETURNS ops.alert_rule
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_rule ops.alert_rule;
    v_is_new boolean;
    v_faults text[];
BEGIN
    SELECT r.* INTO v_rule FROM ops.alert_rule AS r WHERE r.name = p_name;
    v_is_new := NOT found;
    IF v_is_new THEN
        SELECT d.* INTO v_rule FROM ops.default_alert_rules() AS d WHERE d.kind = coalesce(p_kind, p_name);
        IF NOT found THEN
            RAISE EXCEPTION 'kind of a new rule must be one of ops.alert_rule, not %', coalesce(p_kind, 'NULL')
                USING ERRCODE = 'invalid_parameter_value', HINT = 'the kinds are ' || array_to_string(telemetry.alert_kinds(), ', ');
        END IF;
    ELSIF p_kind <> v_rule.kind THEN
        RAISE EXCEPTION 'rule % is of kind %, which stays', p_name, v_rule.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'ops.remove_alert_rule removes it, or give the new rule another name';
    END IF;
    v_rule.name := p_name;
    v_rule.threshold := coalesce(p_threshold, v_rule.threshold);
    v_rule.upper_threshold := coalesce(p_upper_threshold, v_rule.upper_threshold);
    v_rule.window_length := coalesce(p_window_length, v_rule.window_length);
    v_rule.least := coalesce(p_least, v_rule.least);
    v_rule.open_after := coalesce(p_open_after, v_rule.open_after);
    v_rule.close_after := coalesce(p_close_after, v_rule.close_after);
    v_rule.severity := coalesce(p_severity, v_rule.severity);
    v_rule.device_ids := CASE WHEN p_device_ids IS NULL THEN v_rule.device_ids ELSE nullif(p_device_ids, '{}') END;
    v_rule.enabled := coalesce(p_enabled, v_rule.enabled);

    SELECT array_agg(format('%s of rule %s: %s', f.setting, p_name, f.reason) ORDER BY f.setting, f.reason) INTO v_faults
    FROM ops.alert_rule_faults(v_rule) AS f;
    IF v_faults IS NOT NULL THEN
        RAISE EXCEPTION '%', v_faults[1]
            USING ERRCODE = 'invalid_parameter_value', DETAIL = array_to_string(v_faults[2:], chr(10));
    END IF;
    RETURN v_rule;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.compose_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], boolean
) FROM PUBLIC;

COMMENT ON FUNCTION ops.compose_alert_rule (
    text, text, double precision, double precision, interval, double precision, interval, interval, text, text [], boolean
) IS
'The rule that ops.set_alert_rule would store. Raises invalid_parameter_value for an unknown kind, a changed kind, and refused settings: the first, and all further ones (detail)';
