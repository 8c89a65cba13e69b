-- As check_value, for values that are averaged and not summed. One expression, inlined by the planner, as
-- check_device_id.

CREATE OR REPLACE FUNCTION telemetry.check_measure(
    p_field text, p_value double precision, p_min double precision, p_max double precision, p_unit text
) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN telemetry.is_negligible(p_value)
        THEN ROW(
            'value_out_of_range', p_field || ' ' || p_value::text || ' is not 0, and nearer to it than 1e-300 ' || p_unit
        )::telemetry.rejection
    ELSE telemetry.check_value(p_field, p_value, p_min, p_max, p_unit)
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_measure (
    text, double precision, double precision, double precision, text
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_measure (text, double precision, double precision, double precision, text) IS
'As telemetry.check_value, and value_out_of_range for negligible values (telemetry.is_negligible), too';
