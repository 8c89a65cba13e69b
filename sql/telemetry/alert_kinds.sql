-- The faults that rules look for, for the checks of parameters.

CREATE OR REPLACE FUNCTION telemetry.alert_kinds() RETURNS text []
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    'efficiency_low', 'efficiency_impossible', 'charger_fading', 'device_silent', 'battery_hot', 'voltage_outside',
    'data_incomplete', 'readings_rejected', 'standby_high'
];

REVOKE EXECUTE ON FUNCTION telemetry.alert_kinds () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.alert_kinds () IS 'The kinds of rules, as ops.alert_rule has them';
