-- The effect of a new reading on a device's observed interval. A longer gap is more often an outage than a new
-- interval. So it lengthens the observed one by a quarter at most; a shorter gap is taken at once. Never under a
-- minute: two readings in quick succession tell nothing. One expression, inlined by the planner.

CREATE OR REPLACE FUNCTION telemetry.observe_interval(p_observed interval, p_gap interval, p_gap_in_batch interval)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN COALESCE(p_gap, p_gap_in_batch) IS NOT NULL
        THEN GREATEST(LEAST(p_gap, p_gap_in_batch, p_observed * 1.25), INTERVAL '1 minute')
END;

REVOKE EXECUTE ON FUNCTION telemetry.observe_interval (interval, interval, interval) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.observe_interval (interval, interval, interval) IS
'The observed interval of a device after a reading with a gap of p_gap to its newest one (p_gap_in_batch to the one before it in its batch; NULL for the first), with p_observed observed before (NULL: nothing); NULL while no gap is known';
