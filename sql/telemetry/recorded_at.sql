-- The inverse of telemetry.counted_at, for displayed times of readings. One expression, inlined by the planner.

CREATE OR REPLACE FUNCTION telemetry.recorded_at(p_counted_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_counted_at + INTERVAL '1 microsecond';

REVOKE EXECUTE ON FUNCTION telemetry.recorded_at (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.recorded_at (timestamptz) IS
'The device''s own time of a reading kept under p_counted_at in the histories';
