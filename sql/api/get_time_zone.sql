-- For energy doctor, with any login.

CREATE OR REPLACE FUNCTION api.get_time_zone() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT f.time_zone FROM telemetry.fleet AS f;
$$;

REVOKE EXECUTE ON FUNCTION api.get_time_zone () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_time_zone () TO energy_service;

COMMENT ON FUNCTION api.get_time_zone () IS 'The time zone (IANA name) of the daily aggregates';
