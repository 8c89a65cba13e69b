-- For readings that never became typed ones: a missing field, a number where a time belongs. What is refused by value is
-- kept by the ingest functions themselves.

CREATE OR REPLACE FUNCTION api.ingest_refused_readings(p_refused api.refused_reading [])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT telemetry.keep_refused_readings(p_refused);
$$;

REVOKE EXECUTE ON FUNCTION api.ingest_refused_readings (api.refused_reading []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.ingest_refused_readings (api.refused_reading []) TO energy_service;

COMMENT ON FUNCTION api.ingest_refused_readings (api.refused_reading []) IS
'Keeps readings that the service refused by their shape in telemetry.rejected_reading, as telemetry.keep_refused_readings does';
