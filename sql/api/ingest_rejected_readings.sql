-- For readings that have no typed form: with a missing field, or a number for a time. The ingest functions themselves
-- keep readings rejected by value.

CREATE OR REPLACE FUNCTION api.ingest_rejected_readings(p_rejected api.rejected_reading [])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    SELECT telemetry.keep_rejected_readings(p_rejected, NULL);
$$;

REVOKE EXECUTE ON FUNCTION api.ingest_rejected_readings (api.rejected_reading []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.ingest_rejected_readings (api.rejected_reading []) TO energy_service;

COMMENT ON FUNCTION api.ingest_rejected_readings (api.rejected_reading []) IS
'Keeps readings that the service rejected by their shape in telemetry.rejected_reading, as telemetry.keep_rejected_readings does';
