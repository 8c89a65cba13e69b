-- The rest of the disk, within the bound of ops.set_disk_bound.

CREATE OR REPLACE FUNCTION ops.bytes_left() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT f.disk_bound_bytes - pg_database_size(current_database()) FROM telemetry.fleet AS f;
$$;

REVOKE EXECUTE ON FUNCTION ops.bytes_left () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.bytes_left () TO energy_dba;

COMMENT ON FUNCTION ops.bytes_left () IS 'Bytes that this database may still take; NULL without a bound';
