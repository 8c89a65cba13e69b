-- telemetry.fleet_meters has the same rule as a join: whoever changes one changes both. A fleet's own rule does not go here,
-- but into telemetry.default_meter_id.

CREATE OR REPLACE FUNCTION telemetry.standard_meter_id(p_vehicle_id text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.meter_id
    FROM telemetry.meter_current_status AS s
    WHERE
        s.meter_id = p_vehicle_id
        OR (p_vehicle_id LIKE 'V%' AND s.meter_id = 'M' || substr(p_vehicle_id, 2))
    ORDER BY s.meter_id = p_vehicle_id DESC
    LIMIT 1;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.standard_meter_id (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.standard_meter_id (text) IS
'The standard rule of default meters: the meter of the same id if one reports, else V<rest> -> M<rest> if that one reports, else NULL';
