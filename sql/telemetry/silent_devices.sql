-- Silence is measured by what the device itself is expected to do.

CREATE OR REPLACE FUNCTION telemetry.silent_devices(p_intervals double precision)
RETURNS TABLE (stream text, device_id text, recorded_at timestamptz, expected_interval_s double precision)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.stream, s.device_id, s.recorded_at, i.seconds
    FROM (
        SELECT 'meter' AS stream, m.meter_id AS device_id, m.recorded_at FROM telemetry.meter_current_status AS m
        UNION ALL
        SELECT 'vehicle', v.vehicle_id, v.recorded_at FROM telemetry.vehicle_current_status AS v
    ) AS s
    LEFT JOIN telemetry.device_profile AS p ON p.stream = s.stream AND p.device_id = s.device_id
    CROSS JOIN LATERAL (SELECT coalesce(extract(EPOCH FROM p.expected_interval)::double precision, 60) AS seconds) AS i
    WHERE s.recorded_at < now() - make_interval(secs => i.seconds * p_intervals);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.silent_devices (double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.silent_devices (double precision) IS
'Devices whose newest reading is older than p_intervals of their expected intervals (seconds; one a minute without a profile)';
