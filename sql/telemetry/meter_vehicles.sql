-- bi.vehicle_meter from the meter's side. That view asks the rule of default meters for each vehicle, 0.1 ms each. So the
-- vehicles are limited to those with a link, and to those that the standard rule could give this meter. A fleet's own rule
-- is asked for all of its vehicles.

CREATE OR REPLACE FUNCTION telemetry.meter_vehicles(p_meter_id text)
RETURNS TABLE (vehicle_id text, valid_from timestamptz, valid_until timestamptz, origin text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_has_own_rule CONSTANT boolean := telemetry.has_own_meter_rule();
    v_vehicle_ids CONSTANT text[] := ARRAY(
        SELECT s.vehicle_id
        FROM telemetry.vehicle_current_status AS s
        WHERE v_has_own_rule
        UNION
        SELECT l.vehicle_id
        FROM telemetry.vehicle_meter_link AS l
        WHERE v_has_own_rule OR l.meter_id = p_meter_id
        UNION
        SELECT c.id
        FROM unnest(ARRAY[p_meter_id, CASE WHEN p_meter_id LIKE 'M%' THEN 'V' || substr(p_meter_id, 2) END]) AS c (id)
    );
BEGIN
    RETURN QUERY
    SELECT m.vehicle_id, m.valid_from, m.valid_until, m.origin
    FROM bi.vehicle_meter AS m
    WHERE m.vehicle_id = ANY (v_vehicle_ids) AND m.meter_id = p_meter_id;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.meter_vehicles (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.meter_vehicles (text) IS
'The vehicles that a meter feeds, with their times: the rows of bi.vehicle_meter of this meter';
