-- What is averaged must stay a number when it is divided: PostgreSQL raises where a quotient is nearer to 0 than a double
-- can tell, and one such reading would keep its device's analytics from being read, and the hourly aggregate of all
-- devices from being refreshed. One expression, inlined by the planner, as check_device_id; after check_value.

CREATE OR REPLACE FUNCTION telemetry.check_distance(p_field text, p_value double precision) RETURNS telemetry.refusal
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_value = 0 OR abs(p_value) >= 1e-300 OR p_value IS NULL THEN NULL
    ELSE ROW(
        'value_out_of_range', p_field || ' ' || p_value::text || ' is not 0, and nearer to it than 1e-300'
    )::telemetry.refusal
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_distance (text, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_distance (text, double precision) IS
'NULL for 0 and for what is at least 1e-300 away from it, else the refusal value_out_of_range; p_field is the wire name for the text';
