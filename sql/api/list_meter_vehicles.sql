-- api.list_vehicle_meters from the meter's side.

CREATE OR REPLACE FUNCTION api.list_meter_vehicles(p_meter_id text)
RETURNS TABLE (vehicle_id text, valid_from timestamptz, valid_until timestamptz, origin text, is_current boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.meter_id = p_meter_id) THEN
        PERFORM telemetry.require_device('meter', p_meter_id);
    END IF;
    RETURN QUERY
    SELECT m.vehicle_id, m.valid_from, m.valid_until, m.origin, tstzrange(m.valid_from, m.valid_until) @> now()
    FROM telemetry.meter_vehicles(p_meter_id) AS m
    ORDER BY m.valid_from DESC NULLS LAST, m.vehicle_id;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_meter_vehicles (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_meter_vehicles (text) TO energy_service;

COMMENT ON FUNCTION api.list_meter_vehicles (text) IS
'The vehicles that a meter feeds with their times, newest first: the rows of bi.vehicle_meter, and is_current. Raises IE002 for a meter that has neither sent a reading nor been linked';
