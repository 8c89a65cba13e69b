-- The start of the interval whose end a reading stamps. It follows from that reading and the two before it. So
-- sessions are the same in any order of arrival, and a late reading changes few of them. The interval of the
-- device is the shorter one of the last two distances, at least a minute. A reading further from the one before, by a
-- quarter and more, follows a gap. Inlined.

CREATE OR REPLACE FUNCTION telemetry.interval_start(
    p_recorded_at timestamptz, p_previous timestamptz, p_before_previous timestamptz
) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_recorded_at - p_previous > telemetry.session_reach() OR p_previous IS NULL
        THEN p_recorded_at - INTERVAL '1 minute'
    WHEN p_previous - p_before_previous > telemetry.session_reach() OR p_before_previous IS NULL
        THEN p_previous
    WHEN p_recorded_at - p_previous
        <= 1.25 * GREATEST(LEAST(p_recorded_at - p_previous, p_previous - p_before_previous), INTERVAL '1 minute')
        THEN p_previous
    ELSE p_recorded_at - GREATEST(p_previous - p_before_previous, INTERVAL '1 minute')
END;

REVOKE EXECUTE ON FUNCTION telemetry.interval_start (timestamptz, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.interval_start (timestamptz, timestamptz, timestamptz) IS
'Start of the interval of the reading stamped p_recorded_at, with the two readings before it (NULL for none): the reading before, or, after a gap, one interval before p_recorded_at';
