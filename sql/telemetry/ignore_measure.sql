-- A sensor fault must not cost the energy of its reading: a measure outside its range is ignored, and the reading stored
-- without it. NaN and the infinities are no measures at all: telemetry.check_finite rejects the reading. One expression,
-- inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.ignore_measure(
    p_field text, p_value double precision, p_min double precision, p_max double precision, p_unit text
) RETURNS api.ignored_measure
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_value IS NULL OR p_value BETWEEN p_min AND p_max AND NOT telemetry.is_negligible(p_value) THEN NULL
    WHEN p_value IN ('NaN', 'Infinity', '-Infinity') THEN NULL
    WHEN telemetry.is_negligible(p_value)
        THEN ROW(
            p_field, 'value_out_of_range',
            p_field || ' ' || p_value::text || ' is not 0, and nearer to it than 1e-300 ' || p_unit
        )::api.ignored_measure
    ELSE ROW(
        p_field, 'value_out_of_range',
        p_field || ' ' || p_value::text || ' is outside ' || p_min::text || ' to ' || p_max::text || ' ' || p_unit
    )::api.ignored_measure
END;

REVOKE EXECUTE ON FUNCTION telemetry.ignore_measure (
    text, double precision, double precision, double precision, text
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_measure (text, double precision, double precision, double precision, text) IS
'The reason to store a measure as not measured: value_out_of_range if it is outside p_min to p_max (both included, in p_unit) or negligible (telemetry.is_negligible). NULL if it is neither, or absent, or not finite; p_field is the wire name for the text';
