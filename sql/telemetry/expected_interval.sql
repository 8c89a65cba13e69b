-- The interval of a device, for silence, completeness and judgement alike. Inlined into the views of bi, whose readers
-- therefore may execute it.

CREATE OR REPLACE FUNCTION telemetry.expected_interval(p_said interval, p_observed interval) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(p_said, p_observed, INTERVAL '1 minute');

REVOKE EXECUTE ON FUNCTION telemetry.expected_interval (interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.expected_interval (interval, interval) TO energy_bi;

COMMENT ON FUNCTION telemetry.expected_interval (interval, interval) IS
'Time to expect between two readings of a device: what its profile says, else what is observed, else a minute';
