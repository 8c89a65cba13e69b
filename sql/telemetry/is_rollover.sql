-- For a reading, and for the last register of an exchange. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.is_rollover(
    p_baseline_kwh double precision, p_register_kwh double precision, p_register_max_kwh double precision
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
    p_baseline_kwh BETWEEN 0.9 * p_register_max_kwh AND p_register_max_kwh AND p_register_kwh <= 0.1 * p_register_max_kwh, FALSE
);

REVOKE EXECUTE ON FUNCTION telemetry.is_rollover (double precision, double precision, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_rollover (double precision, double precision, double precision) IS
'True if a register (kWh) went past p_register_max_kwh: it fell from within a tenth of that to within a tenth of zero; false if that is NULL';
