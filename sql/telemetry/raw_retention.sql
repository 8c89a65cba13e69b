-- How far back a reading may lie: one place for what ingest accepts, so that it can follow the retention of the histories.

CREATE OR REPLACE FUNCTION telemetry.raw_retention() RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT INTERVAL '2 years';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.raw_retention () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.raw_retention () IS
'Age beyond which a reading is refused as timestamp_too_old: the raw retention of the histories';
