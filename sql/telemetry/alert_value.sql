-- The value of each kind of rule, stated once: the scan of the fleet and the exact judgement of a device share it. It is
-- judged as displayed, with 4 decimals. One expression, inlined.

CREATE OR REPLACE FUNCTION telemetry.alert_value(
    p_rule_kind text,
    p_window interval,
    p_kwh_ac double precision,
    p_kwh_dc double precision,
    p_readings double precision,
    p_expected double precision,
    p_measure_sum double precision,
    p_measure_readings double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(CASE
    WHEN p_rule_kind = 'efficiency_impossible' AND p_kwh_dc > p_kwh_ac
        THEN coalesce(telemetry.plain_ratio(p_kwh_ac, p_kwh_dc), 1e6)
    WHEN p_rule_kind IN ('efficiency_low', 'efficiency_impossible') THEN telemetry.plain_ratio(p_kwh_ac, p_kwh_dc)
    WHEN p_rule_kind = 'standby_high' AND p_kwh_dc = 0 THEN p_kwh_ac * 3600 / extract(EPOCH FROM p_window)::double precision
    WHEN p_rule_kind IN ('battery_hot', 'voltage_outside') THEN p_measure_sum / nullif(p_measure_readings, 0)
    WHEN p_rule_kind = 'data_incomplete' THEN p_readings / p_expected
    WHEN p_rule_kind = 'readings_rejected' THEN p_readings
END::numeric, 4)::double precision;

REVOKE EXECUTE ON FUNCTION telemetry.alert_value (
    text, interval, double precision, double precision, double precision, double precision, double precision, double precision
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.alert_value (
    text, interval, double precision, double precision, double precision, double precision, double precision, double precision
) IS
'The value that a rule of that kind compares with its threshold, in the unit of that: of the energies (kWh), readings, expected readings, and sum and number of measured voltages (V) or battery temperatures (degrees Celsius) of a window; NULL without one. 1e6 stands for a ratio above it, or without any AC';
