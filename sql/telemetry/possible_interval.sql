-- A device that once sent two readings within a minute may report every quarter hour from then on. To judge it by the minute
-- would reject its readings for good. The fleet's limit holds for devices that nothing was said of: their first reading may
-- be of a day. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.possible_interval(
    p_said interval, p_observed interval, p_since_newest interval, p_at_first interval
) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
    p_said,
    GREATEST(p_observed, CASE WHEN p_since_newest > INTERVAL '0' THEN GREATEST(p_since_newest, INTERVAL '1 minute') END),
    p_at_first
);

REVOKE EXECUTE ON FUNCTION telemetry.possible_interval (interval, interval, interval, interval) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.possible_interval (interval, interval, interval, interval) IS
'Longest time that an interval energy may be of: from the profile, else as observed or since the newest reading of the device, the longer of the two, else p_at_first';
