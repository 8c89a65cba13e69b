-- The interval of a device, for silence, completeness and judgement alike. Inlined into the views of bi, so their
-- readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.expected_interval(p_said interval, p_observed interval) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(p_said, p_observed, INTERVAL '1 minute');

REVOKE EXECUTE ON FUNCTION telemetry.expected_interval (interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.expected_interval (interval, interval) TO energy_bi;

COMMENT ON FUNCTION telemetry.expected_interval (interval, interval) IS
'Expected time between two readings of a device: from its profile, else as observed, else a minute';
