-- A page of charging sessions, as in bi.charging_session. It continues after the last one of the page before, in order of
-- start and vehicle.

CREATE OR REPLACE FUNCTION api.list_sessions(
    p_vehicle_id text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_meter_id text,
    p_status text,
    p_is_open boolean,
    p_after timestamptz,
    p_after_vehicle_id text,
    p_limit integer,
    p_with_cost boolean DEFAULT FALSE
) RETURNS TABLE (
    session_id uuid,
    vehicle_id text,
    meter_id text,
    started_at timestamptz,
    ended_at timestamptz,
    duration_s double precision,
    kwh_delivered_dc double precision,
    kwh_consumed_ac double precision,
    kwh_lost double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    soc_start double precision,
    soc_end double precision,
    battery_temp_avg double precision,
    battery_temp_max double precision,
    mean_kw double precision,
    peak_kw double precision,
    readings bigint,
    meter_readings bigint,
    is_complete boolean,
    is_open boolean,
    currency text,
    cost double precision,
    co2_kg double precision,
    window_start timestamptz,
    window_end timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH page AS (
        SELECT
            s.session_id,
            s.vehicle_id,
            s.meter_id,
            s.started_at,
            s.ended_at,
            j.duration_s,
            round(s.kwh_delivered_dc::numeric, 9)::double precision AS kwh_delivered_dc,
            round(j.kwh_consumed_ac::numeric, 9)::double precision AS kwh_consumed_ac,
            round(j.kwh_lost::numeric, 9)::double precision AS kwh_lost,
            j.efficiency_ratio AS ratio,
            j.efficiency_status AS status,
            s.soc_start,
            s.soc_end,
            s.battery_temp_avg,
            s.battery_temp_max,
            j.mean_kw,
            s.peak_kw,
            s.readings,
            s.meter_readings,
            j.is_complete,
            j.is_open,
            w.window_start,
            w.window_end,
            row_number() OVER (ORDER BY s.started_at, s.vehicle_id) AS place
        FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w
        CROSS JOIN LATERAL telemetry.list_sessions(
            CASE WHEN p_vehicle_id IS NOT NULL THEN ARRAY[p_vehicle_id] END, greatest(w.window_start, p_after), w.window_end
        ) AS s
        LEFT JOIN telemetry.device AS m ON m.kind = 'meter' AND m.device_id = s.meter_id
        LEFT JOIN telemetry.device AS v ON v.kind = 'vehicle' AND v.device_id = s.vehicle_id
        CROSS JOIN telemetry.fleet AS f
        CROSS JOIN LATERAL telemetry.judge_session(
            ROW(s.*)::telemetry.charging_session,
            -- the interval that is assumed without any
            telemetry.expected_interval(m.expected_interval, NULL), telemetry.expected_interval(v.expected_interval, NULL),
            f.standby_kw, f.session_gap
        ) AS j
        WHERE
            (p_after IS NULL OR (s.started_at, s.vehicle_id) > (p_after, p_after_vehicle_id COLLATE "C"))
            AND (p_meter_id IS NULL OR s.meter_id = p_meter_id)
            AND (p_status IS NULL OR j.efficiency_status = p_status)
            AND (p_is_open IS NULL OR j.is_open = p_is_open)
        ORDER BY s.started_at, s.vehicle_id
        LIMIT p_limit
    ),
    cost AS MATERIALIZED (
        SELECT c.*
        FROM (
            SELECT
                array_agg(p.vehicle_id ORDER BY p.place) AS vehicle_ids,
                array_agg(p.started_at ORDER BY p.place) AS starts,
                array_agg(p.ended_at ORDER BY p.place) AS ends
            FROM page AS p
            WHERE p_with_cost
        ) AS s
        CROSS JOIN LATERAL telemetry.session_costs(s.vehicle_ids, s.starts, s.ends) AS c
    )
    SELECT
        p.session_id,
        p.vehicle_id,
        p.meter_id,
        p.started_at,
        p.ended_at,
        p.duration_s,
        p.kwh_delivered_dc,
        p.kwh_consumed_ac,
        p.kwh_lost,
        p.ratio,
        p.status,
        p.soc_start,
        p.soc_end,
        p.battery_temp_avg,
        p.battery_temp_max,
        p.mean_kw,
        p.peak_kw,
        p.readings,
        p.meter_readings,
        p.is_complete,
        p.is_open,
        c.currency,
        round(c.cost, 6)::double precision,
        round(c.co2_kg, 6)::double precision,
        p.window_start,
        p.window_end
    FROM page AS p
    LEFT JOIN cost AS c ON p.place = c.session
    ORDER BY p.started_at, p.vehicle_id;
$$;

REVOKE EXECUTE ON FUNCTION api.list_sessions (
    text, timestamptz, timestamptz, double precision, text, text, boolean, timestamptz, text, integer, boolean
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_sessions (
    text, timestamptz, timestamptz, double precision, text, text, boolean, timestamptz, text, integer, boolean
) TO energy_service;

COMMENT ON FUNCTION api.list_sessions (
    text, timestamptz, timestamptz, double precision, text, text, boolean, timestamptz, text, integer, boolean
) IS
'At most p_limit charging sessions (bi.charging_session) that begin in a window (as of api.get_vehicle_performance), in order of start and vehicle, after p_after and p_after_vehicle_id: of one vehicle, with one meter, with one efficiency status, open or not (NULL for all). Energies in kWh, powers in kW, with p_with_cost the cost and CO2 (telemetry.session_cost; else NULL), and the window. Raises IE003 for an impossible window';
