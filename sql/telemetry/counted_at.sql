-- The time rule, stated once: energy is that of the interval (start, end] whose end the device stamps. One microsecond before
-- its end lies inside it, so that half-open buckets, windows, links and chunks put it where it belongs. One expression,
-- inlined by the planner; the earliest times that PostgreSQL has stay as they are, as nothing lies before them.

CREATE OR REPLACE FUNCTION telemetry.counted_at(p_recorded_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_recorded_at > '0001-01-01 00:00:00Z' THEN p_recorded_at - INTERVAL '1 microsecond'
    ELSE p_recorded_at
END;

REVOKE EXECUTE ON FUNCTION telemetry.counted_at (timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.counted_at (timestamptz) IS
'The time under which the histories keep a reading that its device stamped p_recorded_at: one microsecond earlier';
