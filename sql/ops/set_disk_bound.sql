-- PostgreSQL cannot see the size of its disk.

CREATE OR REPLACE FUNCTION ops.set_disk_bound(p_size text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    UPDATE telemetry.fleet SET disk_bound_bytes = pg_size_bytes(p_size) RETURNING disk_bound_bytes;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_disk_bound (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_disk_bound (text) TO energy_dba;

COMMENT ON FUNCTION ops.set_disk_bound (text) IS
'Sets the disk space of the database, as 500 GB (NULL for unknown), and returns it in bytes; ops.storage shows the days until it is full';
