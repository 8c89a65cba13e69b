-- Ids and times only, no measurements.

CREATE OR REPLACE FUNCTION ops.list_silent_devices()
RETURNS TABLE (kind text, device_id text, recorded_at timestamptz, expected_interval interval)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT d.kind, d.device_id, d.recorded_at, d.expected_interval FROM telemetry.list_devices() AS d WHERE d.is_silent;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_silent_devices () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_silent_devices () TO energy_dba;

COMMENT ON FUNCTION ops.list_silent_devices () IS 'The rows of ops.silent_device';
