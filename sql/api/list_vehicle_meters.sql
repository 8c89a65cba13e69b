-- The links of a vehicle, and its default meter for the times without one, newest first.

CREATE OR REPLACE FUNCTION api.list_vehicle_meters(p_vehicle_id text)
RETURNS TABLE (meter_id text, valid_from timestamptz, valid_until timestamptz, origin text, is_current boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM telemetry.require_vehicle(p_vehicle_id);
    RETURN QUERY
    SELECT m.meter_id, m.valid_from, m.valid_until, m.origin, tstzrange(m.valid_from, m.valid_until) @> now()
    FROM bi.vehicle_meter AS m
    WHERE m.vehicle_id = p_vehicle_id
    ORDER BY m.valid_from DESC NULLS LAST;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_vehicle_meters (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_vehicle_meters (text) TO energy_service;

COMMENT ON FUNCTION api.list_vehicle_meters (text) IS
'The meters that feed a vehicle with their times, newest first: the rows of bi.vehicle_meter, and is_current. Raises IE001 for a vehicle that has neither sent a reading nor been linked';
