-- The comparison of each kind of rule, stated once. One expression, inlined.

CREATE OR REPLACE FUNCTION telemetry.is_beyond(
    p_rule_kind text, p_value double precision, p_threshold double precision, p_upper_threshold double precision
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_rule_kind IN ('efficiency_low', 'data_incomplete') THEN p_value < p_threshold
    WHEN p_rule_kind = 'voltage_outside' THEN p_value < p_threshold OR p_value > p_upper_threshold
    WHEN p_rule_kind = 'readings_rejected' THEN p_value >= p_threshold
    ELSE p_value > p_threshold
END;

REVOKE EXECUTE ON FUNCTION telemetry.is_beyond (text, double precision, double precision, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_beyond (text, double precision, double precision, double precision) IS
'True if a value is a fault by the thresholds of a rule of that kind (ops.alert_rule, with their units); NULL for no value';
