-- A page of the history, reading by reading. Its bounds are constants to the planner, so only the chunks of that time
-- are opened.

CREATE OR REPLACE FUNCTION api.list_meter_readings(
    p_meter_id text, p_start timestamptz, p_end timestamptz, p_hours double precision, p_after timestamptz, p_limit integer
) RETURNS TABLE (
    recorded_at timestamptz,
    received_at timestamptz,
    kwh_consumed_ac double precision,
    voltage double precision,
    register_kwh double precision,
    exchange_kwh double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    v_page record;
BEGIN
    SELECT p.page_start, p.page_end INTO v_page
    FROM telemetry.resolve_page('meter', p_meter_id, p_start, p_end, p_hours, p_after) AS p;

    RETURN QUERY
    SELECT telemetry.recorded_at(h.counted_at), h.received_at, h.kwh_consumed_ac, h.voltage, h.register_kwh, h.exchange_kwh
    FROM telemetry.meter_telemetry_history AS h
    WHERE h.meter_id = p_meter_id AND h.counted_at >= v_page.page_start AND h.counted_at < v_page.page_end
    ORDER BY h.counted_at
    LIMIT p_limit;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_meter_readings (
    text, timestamptz, timestamptz, double precision, timestamptz, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_meter_readings (
    text, timestamptz, timestamptz, double precision, timestamptz, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_meter_readings (
    text, timestamptz, timestamptz, double precision, timestamptz, integer
) IS
'At most p_limit readings of a meter in a window (as of api.get_vehicle_performance), after p_after, in order of time: times, energy of the interval (kWh), voltage (V), the register (kWh) of a device that sends one, and the part of the energy that a register replaced since the reading before had counted (kWh). Raises IE002 for an unknown meter, IE003 for an impossible window';
