-- NaN and the infinities are faults of the sender's program, not of a sensor. The comparison fails for all three, as NaN is
-- greater than everything in PostgreSQL. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.check_finite(p_field text, p_value double precision) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_value IS NULL OR p_value > '-Infinity' AND p_value < 'Infinity' THEN NULL
    ELSE ROW('value_not_finite', p_field || ' must be a finite number, not ' || p_value::text)::telemetry.rejection
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_finite (text, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_finite (text, double precision) IS
'NULL for a finite number and for NULL, else the rejection value_not_finite; p_field is the wire name for the text';
