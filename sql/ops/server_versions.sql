-- The catalog words definitions in its own way: its versions stand beside them.

CREATE OR REPLACE FUNCTION ops.server_versions() RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('PostgreSQL %s, TimescaleDB %s', current_setting('server_version_num')::integer / 10000, e.extversion)
    FROM pg_extension AS e
    WHERE e.extname = 'timescaledb';
$$;

REVOKE EXECUTE ON FUNCTION ops.server_versions () FROM PUBLIC;

COMMENT ON FUNCTION ops.server_versions () IS 'The major version of PostgreSQL and the version of TimescaleDB, as text';
