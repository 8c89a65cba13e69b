-- Every device in use, for counts and lists: a retired one is missing until it reports again.

CREATE OR REPLACE FUNCTION telemetry.list_devices() RETURNS TABLE (
    kind text,
    device_id text,
    recorded_at timestamptz,
    received_at timestamptz,
    expected_interval interval,
    is_silent boolean,
    is_charging boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT
        d.kind, d.device_id, d.recorded_at, d.received_at, d.expected_interval, d.status = 'silent', d.is_charging
    FROM telemetry.device AS d
    WHERE d.status <> 'retired';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_devices () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_devices () IS
'The meters and vehicles in use (telemetry.device): their own time and the server''s of the newest reading, the expected interval, is_silent, and is_charging of a vehicle';
