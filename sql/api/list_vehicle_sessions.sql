-- Unlike api.list_sessions, it tells an unknown vehicle from one that did not charge.

CREATE OR REPLACE FUNCTION api.list_vehicle_sessions(
    p_vehicle_id text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_after timestamptz,
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
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM telemetry.require_vehicle(p_vehicle_id);
    RETURN QUERY
    SELECT s.*
    FROM api.list_sessions(p_vehicle_id, p_start, p_end, p_hours, NULL, NULL, NULL, p_after, p_vehicle_id, p_limit, p_with_cost) AS s;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_vehicle_sessions (
    text, timestamptz, timestamptz, double precision, timestamptz, integer, boolean
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_vehicle_sessions (
    text, timestamptz, timestamptz, double precision, timestamptz, integer, boolean
) TO energy_service;

COMMENT ON FUNCTION api.list_vehicle_sessions (
    text, timestamptz, timestamptz, double precision, timestamptz, integer, boolean
) IS
'api.list_sessions of one vehicle, after the session that began at p_after (NULL for the first page). Raises IE001 for an unknown vehicle, IE003 for an impossible window';
