-- A rule's kind says whose fault it is: alerts about a charger are alerts of its vehicle.

CREATE OR REPLACE FUNCTION telemetry.alert_device_kinds(p_rule_kind text) RETURNS text []
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_rule_kind = 'voltage_outside' THEN ARRAY['meter']
    WHEN p_rule_kind IN ('device_silent', 'data_incomplete', 'readings_rejected') THEN ARRAY['meter', 'vehicle']
    ELSE ARRAY['vehicle']
END;

REVOKE EXECUTE ON FUNCTION telemetry.alert_device_kinds (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.alert_device_kinds (text) IS
'The kinds of devices (meter, vehicle) that a kind of rule (ops.alert_rule) is about';
