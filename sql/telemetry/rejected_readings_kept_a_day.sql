-- The limit of the disk space of a broken device, with at most 8,192 characters a reading and 30 days.

CREATE OR REPLACE FUNCTION telemetry.rejected_readings_kept_a_day() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 10000::bigint;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.rejected_readings_kept_a_day () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.rejected_readings_kept_a_day () IS
'Number of rejected readings of one sender kept in telemetry.rejected_reading per day (UTC); further ones are only counted';
