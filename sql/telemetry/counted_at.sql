-- The time rule, stated once: energy is that of the interval (start, end], and the device stamps the end. One
-- microsecond before the end lies inside the interval, so half-open buckets, windows, links and chunks count it there.
-- One expression, inlined by the planner. PostgreSQL's earliest times stay as they are, as nothing is before them.

CREATE OR REPLACE FUNCTION telemetry.counted_at(p_recorded_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_recorded_at > '0001-01-01 00:00:00Z' THEN p_recorded_at - INTERVAL '1 microsecond'
    ELSE p_recorded_at
END;

REVOKE EXECUTE ON FUNCTION telemetry.counted_at (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.counted_at (timestamptz) IS
'The time under which the histories keep a reading stamped p_recorded_at by its device: one microsecond earlier';
