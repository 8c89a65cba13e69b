-- The fleet at a glance. Energies and ratio are those of the judged vehicles (normal, low, impossible), as in
-- bi.fleet_efficiency_daily. With the standby of parked cars, a quiet day would look like a fault.

CREATE OR REPLACE FUNCTION api.get_fleet_summary(
    p_start timestamptz, p_end timestamptz, p_hours double precision
) RETURNS TABLE (
    period_start timestamptz,
    period_end timestamptz,
    total_energy_consumed_ac double precision,
    total_energy_delivered_dc double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    vehicles bigint,
    vehicles_normal bigint,
    vehicles_low bigint,
    vehicles_impossible bigint,
    vehicles_idle bigint,
    vehicles_unknown bigint,
    distribution api.efficiency_band [],
    silent_meters bigint,
    silent_vehicles bigint,
    silent_devices api.silent_device []
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    SELECT w.window_start, w.window_end INTO period_start, period_end
    FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;

    WITH balance AS MATERIALIZED (
        SELECT
            b.kwh_consumed_ac, b.kwh_delivered_dc, b.efficiency_ratio AS ratio, b.efficiency_status AS status,
            b.efficiency_status IN ('normal', 'low', 'impossible') AS is_judged
        FROM telemetry.fleet_balance(period_start, period_end) AS b
    ),
    band AS (
        SELECT s.number / 20.0 AS ratio_from, CASE WHEN s.number < 20 THEN (s.number + 1) / 20.0 END AS ratio_to
        FROM generate_series(0, 20) AS s (number)
    )
    SELECT
        sum(b.kwh_consumed_ac) FILTER (WHERE b.is_judged),
        sum(b.kwh_delivered_dc) FILTER (WHERE b.is_judged),
        count(*),
        count(*) FILTER (WHERE b.status = 'normal'),
        count(*) FILTER (WHERE b.status = 'low'),
        count(*) FILTER (WHERE b.status = 'impossible'),
        count(*) FILTER (WHERE b.status = 'idle'),
        count(*) FILTER (WHERE b.status = 'unknown'),
        (
            SELECT array_agg(ROW(d.ratio_from, d.ratio_to, d.vehicles)::api.efficiency_band ORDER BY d.ratio_from)
            FROM (
                SELECT band.ratio_from, band.ratio_to, count(v.ratio) AS vehicles
                FROM band
                LEFT JOIN balance AS v
                    ON v.ratio >= band.ratio_from AND (v.ratio < band.ratio_to OR band.ratio_to IS NULL)
                GROUP BY band.ratio_from, band.ratio_to
            ) AS d
        )
    INTO
        total_energy_consumed_ac, total_energy_delivered_dc, vehicles,
        vehicles_normal, vehicles_low, vehicles_impossible, vehicles_idle, vehicles_unknown, distribution
    FROM balance AS b;

    efficiency_ratio := telemetry.plain_ratio(total_energy_consumed_ac, total_energy_delivered_dc);
    efficiency_status := telemetry.fleet_status(total_energy_consumed_ac, total_energy_delivered_dc, vehicles_idle);
    total_energy_consumed_ac := round(total_energy_consumed_ac::numeric, 9)::double precision;
    total_energy_delivered_dc := round(total_energy_delivered_dc::numeric, 9)::double precision;

    SELECT
        count(*) FILTER (WHERE s.kind = 'meter'),
        count(*) FILTER (WHERE s.kind = 'vehicle'),
        coalesce(
            array_agg(
                ROW(
                    s.kind, s.device_id, s.recorded_at, extract(EPOCH FROM s.expected_interval)::double precision
                )::api.silent_device
                ORDER BY s.recorded_at, s.device_id
            ) FILTER (WHERE s.rank <= 100),
            '{}'
        )
    INTO silent_meters, silent_vehicles, silent_devices
    FROM (
        SELECT d.*, row_number() OVER (ORDER BY d.recorded_at, d.device_id) AS rank
        FROM telemetry.list_devices() AS d
        WHERE d.is_silent
    ) AS s;
    RETURN NEXT;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_fleet_summary (
    timestamptz, timestamptz, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_fleet_summary (
    timestamptz, timestamptz, double precision
) TO energy_service;

COMMENT ON FUNCTION api.get_fleet_summary (
    timestamptz, timestamptz, double precision
) IS
'The fleet''s energy balance (kWh) in a window (as of api.get_vehicle_performance), over the vehicles that are judged; the number of vehicles of each status and of each twentieth of efficiency; and the silent devices (telemetry.is_silent): their number, and the 100 that have been silent for longest. Raises IE003 for an impossible window';
