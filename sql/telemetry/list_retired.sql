-- The devices that telemetry.list_devices leaves out.

CREATE OR REPLACE FUNCTION telemetry.list_retired() RETURNS TABLE (kind text, device_id text, retired_at timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT p.kind, p.device_id, p.retired_at
    FROM telemetry.device_profile AS p
    LEFT JOIN telemetry.list_devices() AS d ON d.kind = p.kind AND d.device_id = p.device_id
    WHERE p.retired_at IS NOT NULL AND d.device_id IS NULL;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_retired () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_retired () IS 'The meters and vehicles out of use, and since when';
