-- What a new reading says of a device's interval. A gap is an outage more often than a new interval, so it lengthens what was
-- observed by a quarter at most; a shorter gap is believed at once. Never under a minute: two readings in quick succession
-- say nothing. One expression, inlined by the planner.

CREATE OR REPLACE FUNCTION telemetry.observe_interval(p_observed interval, p_gap interval, p_gap_in_batch interval)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN COALESCE(p_gap, p_gap_in_batch) IS NOT NULL
        THEN GREATEST(LEAST(p_gap, p_gap_in_batch, p_observed * 1.25), INTERVAL '1 minute')
END;

REVOKE EXECUTE ON FUNCTION telemetry.observe_interval (interval, interval, interval) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.observe_interval (interval, interval, interval) IS
'The observed interval of a device after a reading that came p_gap after its newest one (p_gap_in_batch after the one before it in its batch; NULL for the first), where p_observed was observed before (NULL: nothing); NULL where no gap is known yet';
