-- api.list_devices in the order of a figure of the last 24 hours, which the whole fleet is summed for. A device without
-- the figure comes last, upwards and downwards.

CREATE OR REPLACE FUNCTION api.list_devices_by_energy(
    p_kind text,
    p_search text,
    p_status text,
    p_by_efficiency boolean,
    p_descending boolean,
    p_after_value double precision,
    p_after_kind text,
    p_after_device_id text,
    p_limit integer
)
RETURNS TABLE (
    kind text,
    device_id text,
    status text,
    recorded_at timestamptz,
    received_at timestamptz,
    first_received_at timestamptz,
    expected_interval_s double precision,
    kwh double precision,
    voltage double precision,
    soc double precision,
    battery_temp double precision,
    kwh_24h double precision,
    efficiency_ratio double precision,
    efficiency_status text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_nestloop = off -- the planner assumes a thousand devices
AS $$
    SELECT
        d.kind, d.device_id, d.status, d.recorded_at, d.received_at, d.first_received_at,
        extract(EPOCH FROM d.expected_interval)::double precision, d.kwh, d.voltage, d.soc, d.battery_temp,
        f.kwh, e.efficiency_ratio, CASE d.kind WHEN 'vehicle' THEN coalesce(e.efficiency_status, 'unknown') END
    FROM telemetry.device AS d
    LEFT JOIN telemetry.list_day_energies(p_kind) AS e ON e.kind = d.kind AND e.device_id = d.device_id
    CROSS JOIN LATERAL (
        SELECT round(e.kwh::numeric, 9)::double precision AS kwh, CASE WHEN p_descending THEN -1 ELSE 1 END AS sign
    ) AS f
    CROSS JOIN LATERAL (
        SELECT coalesce(f.sign * CASE WHEN p_by_efficiency THEN e.efficiency_ratio ELSE f.kwh END, 'Infinity') AS place
    ) AS o
    WHERE
        (p_kind IS NULL OR d.kind = p_kind)
        AND (p_search IS NULL OR strpos(lower(d.device_id), lower(p_search)) > 0)
        AND (p_status IS NULL OR d.status = p_status)
        AND (
            p_after_device_id IS NULL
            OR (o.place, d.device_id, d.kind)
            > (coalesce(f.sign * p_after_value, 'Infinity'), p_after_device_id, p_after_kind)
        )
    ORDER BY o.place, d.device_id, d.kind
    LIMIT p_limit;
$$;

REVOKE EXECUTE ON FUNCTION api.list_devices_by_energy (
    text, text, text, boolean, boolean, double precision, text, text, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_devices_by_energy (
    text, text, text, boolean, boolean, double precision, text, text, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_devices_by_energy (
    text, text, text, boolean, boolean, double precision, text, text, integer
) IS
'api.list_devices by the energy (kWh: AC of a meter, DC of a vehicle) of the last 24 hours, or by the efficiency (p_by_efficiency; of vehicles), upwards or downwards, each device with both (telemetry.list_day_energies). After the one with p_after_value, p_after_kind and p_after_device_id';
