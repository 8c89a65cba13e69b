-- The fleet's limit holds for devices that nothing was said of. Such a device may report once a day; to judge it by a minute
-- would reject its readings for good. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.possible_interval(
    p_said interval, p_observed interval, p_since_newest interval
) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(p_said, p_observed, CASE WHEN p_since_newest > INTERVAL '0' THEN p_since_newest END, INTERVAL '1 day');

REVOKE EXECUTE ON FUNCTION telemetry.possible_interval (interval, interval, interval) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.possible_interval (interval, interval, interval) IS
'Longest time that an interval energy may be of: from the profile, else as observed, else since the newest reading of the device, else a day';
