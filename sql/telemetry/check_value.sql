-- The comparison also fails for NaN (greater than everything in PostgreSQL), the infinities and NULL, so an accepted
-- value costs one test. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.check_value(
    p_field text, p_value double precision, p_min double precision, p_max double precision, p_unit text
) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_value BETWEEN p_min AND p_max THEN NULL
    WHEN p_value IS NULL THEN ROW('field_missing', p_field || ' is missing')::telemetry.rejection
    WHEN p_value IN ('NaN', 'Infinity', '-Infinity')
        THEN ROW('value_not_finite', p_field || ' must be a finite number, not ' || p_value::text)::telemetry.rejection
    ELSE ROW(
        'value_out_of_range',
        p_field || ' ' || p_value::text || ' is outside ' || p_min::text || ' to ' || p_max::text || ' ' || p_unit
    )::telemetry.rejection
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_value (
    text, double precision, double precision, double precision, text
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_value (text, double precision, double precision, double precision, text) IS
'NULL if p_value is in p_min to p_max (both included, in p_unit), else the rejection value_out_of_range, value_not_finite or field_missing; p_field is the wire name for the text';
