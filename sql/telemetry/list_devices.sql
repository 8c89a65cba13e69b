-- Every device in use in its present state, for counts and lists: a retired one is missing until it reports again.

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
        s.kind, s.device_id, s.recorded_at, s.received_at, i.expected, q.is_silent, s.kwh_dc > 0 AND NOT q.is_silent
    FROM (
        SELECT
            'meter' AS kind, m.meter_id AS device_id, m.recorded_at, m.received_at, m.observed_interval,
            NULL::double precision AS kwh_dc
        FROM telemetry.meter_current_status AS m
        UNION ALL
        SELECT 'vehicle', v.vehicle_id, v.recorded_at, v.received_at, v.observed_interval, v.kwh_delivered_dc
        FROM telemetry.vehicle_current_status AS v
    ) AS s
    LEFT JOIN telemetry.device_profile AS p ON p.kind = s.kind AND p.device_id = s.device_id
    CROSS JOIN LATERAL (SELECT telemetry.expected_interval(p.expected_interval, s.observed_interval) AS expected) AS i
    CROSS JOIN LATERAL (SELECT telemetry.is_silent(s.recorded_at, i.expected, now()) AS is_silent) AS q
    WHERE p.retired_at IS NULL OR s.received_at > p.retired_at;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_devices () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_devices () IS
'The meters and vehicles in use: their own time and the server''s of the newest reading, the expected interval, is_silent (telemetry.is_silent), and is_charging of a vehicle';
