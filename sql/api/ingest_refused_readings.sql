-- For readings that never became typed ones: a missing field, a number where a time belongs. What is refused by value is
-- kept by the ingest functions themselves.

CREATE OR REPLACE FUNCTION api.ingest_refused_readings(p_refused api.refused_reading [])
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    INSERT INTO telemetry.rejected_reading (stream, code, detail, payload, source)
    SELECT
        CASE WHEN r.stream IN ('meter', 'vehicle') THEN r.stream ELSE 'unknown' END,
        coalesce(r.code, 'unknown'),
        coalesce(left(r.detail, 1024), ''),
        coalesce(left(r.payload, 8192), ''),
        r.source
    FROM unnest(p_refused) AS r;
$$;

REVOKE EXECUTE ON FUNCTION api.ingest_refused_readings (api.refused_reading []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.ingest_refused_readings (api.refused_reading []) TO energy_service;

COMMENT ON FUNCTION api.ingest_refused_readings (api.refused_reading []) IS
'Keeps readings that the service refused by their shape in telemetry.rejected_reading (payload cut at 8,192 characters, detail at 1,024)';
