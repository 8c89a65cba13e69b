-- A reading that jitters over the edge is not a gap, but none is. Inlined into the views of bi, so their readers may
-- execute it.

CREATE OR REPLACE FUNCTION telemetry.has_expected_readings(p_readings bigint, p_time interval, p_interval interval)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_readings >= GREATEST(1, telemetry.expected_readings(p_time, p_interval) - 1);

REVOKE EXECUTE ON FUNCTION telemetry.has_expected_readings (bigint, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.has_expected_readings (bigint, interval, interval) TO energy_bi;

COMMENT ON FUNCTION telemetry.has_expected_readings (bigint, interval, interval) IS
'True if p_readings are those expected in p_time of a device that sends one every p_interval, but for one at most';
