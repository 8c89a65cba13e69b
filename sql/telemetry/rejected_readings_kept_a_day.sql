-- One place for how much disk a broken device may take: at most 8,192 characters a reading, 30 days.

CREATE OR REPLACE FUNCTION telemetry.rejected_readings_kept_a_day() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 10000::bigint;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.rejected_readings_kept_a_day () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.rejected_readings_kept_a_day () IS
'How many rejected readings of one sender telemetry.rejected_reading takes on one day (UTC); the others are only counted';
