-- An averaged value must stay a number when it is divided: PostgreSQL raises if a quotient underflows. One such reading
-- would block its device's analytics, and the hourly refresh of all devices. One expression, inlined by the planner, as
-- check_device_id.

CREATE OR REPLACE FUNCTION telemetry.is_negligible(p_value double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN abs(p_value) < 1e-300 AND p_value <> 0;

REVOKE EXECUTE ON FUNCTION telemetry.is_negligible (double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_negligible (double precision) IS
'True if a value of any unit is not 0, but nearer to it than 1e-300';
