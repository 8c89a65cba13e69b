-- telemetry.default_meter_id follows the standard rule exactly while its body is a call of it. A function that a DBA puts in
-- its place has another body, whatever it says. The search_path makes PostgreSQL show the name with its schema. Readers of the
-- views in bi execute it, without the right to look into the schema.

CREATE OR REPLACE FUNCTION telemetry.has_own_meter_rule() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_get_function_sqlbody(to_regprocedure('telemetry.default_meter_id(text)'))
        IS DISTINCT FROM 'RETURN telemetry.standard_meter_id(p_vehicle_id)';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.has_own_meter_rule () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.has_own_meter_rule () TO energy_bi;

COMMENT ON FUNCTION telemetry.has_own_meter_rule () IS
'True if a DBA has replaced telemetry.default_meter_id by a rule of the fleet''s own';
