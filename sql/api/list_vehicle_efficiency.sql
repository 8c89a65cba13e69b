-- Vehicles below a threshold, worst first. Idle vehicles have no ratio, and are not listed. A page continues after the
-- last vehicle of the one before, in the same window.

CREATE OR REPLACE FUNCTION api.list_vehicle_efficiency(
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_below double precision,
    p_after_ratio double precision,
    p_after_vehicle_id text,
    p_limit integer
) RETURNS TABLE (
    vehicle_id text,
    total_energy_consumed_ac double precision,
    total_energy_delivered_dc double precision,
    efficiency_ratio double precision,
    efficiency_status text,
    meter_readings bigint,
    vehicle_readings bigint,
    period_start timestamptz,
    period_end timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_start timestamptz;
    v_end timestamptz;
BEGIN
    SELECT w.window_start, w.window_end INTO v_start, v_end
    FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;
    RETURN QUERY
    SELECT
        b.vehicle_id,
        round(b.kwh_consumed_ac::numeric, 9)::double precision,
        round(b.kwh_delivered_dc::numeric, 9)::double precision,
        b.efficiency_ratio,
        b.efficiency_status,
        b.meter_readings,
        b.vehicle_readings,
        v_start,
        v_end
    FROM telemetry.fleet_balance(v_start, v_end) AS b
    WHERE
        b.efficiency_ratio < p_below
        AND (p_after_vehicle_id IS NULL OR (b.efficiency_ratio, b.vehicle_id) > (p_after_ratio, p_after_vehicle_id COLLATE "C"))
    ORDER BY b.efficiency_ratio, b.vehicle_id COLLATE "C"
    LIMIT p_limit;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_vehicle_efficiency (
    timestamptz, timestamptz, double precision, double precision, double precision, text, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_vehicle_efficiency (
    timestamptz, timestamptz, double precision, double precision, double precision, text, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_vehicle_efficiency (
    timestamptz, timestamptz, double precision, double precision, double precision, text, integer
) IS
'At most p_limit vehicles with DC delivered / AC consumed (kWh) below p_below in a window (as of api.get_vehicle_performance), the lowest first, after the one with p_after_ratio and p_after_vehicle_id. Raises IE003 for an impossible window';
