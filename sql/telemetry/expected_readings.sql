-- Inlined into the views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.expected_readings(p_time interval, p_expected_interval interval) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN GREATEST(
    1, floor(EXTRACT(EPOCH FROM p_time) / EXTRACT(EPOCH FROM COALESCE(p_expected_interval, INTERVAL '1 minute')))
)::bigint;

REVOKE EXECUTE ON FUNCTION telemetry.expected_readings (interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.expected_readings (interval, interval) TO energy_bi;

COMMENT ON FUNCTION telemetry.expected_readings (interval, interval) IS
'Number of readings expected in p_time of a device that sends one every p_expected_interval (NULL: every minute), at least 1';
