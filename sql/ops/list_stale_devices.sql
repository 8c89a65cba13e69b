-- Ids and times, and nothing that was measured.

CREATE OR REPLACE FUNCTION ops.list_stale_devices(p_intervals double precision DEFAULT 3)
RETURNS TABLE (stream text, device_id text, recorded_at timestamptz, expected_interval_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.stream, s.device_id, s.recorded_at, s.expected_interval_s FROM telemetry.silent_devices(p_intervals) AS s;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_stale_devices (double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_stale_devices (double precision) TO energy_dba;

COMMENT ON FUNCTION ops.list_stale_devices (double precision) IS
'Devices that have been silent for more than p_intervals of their expected intervals (seconds)';
