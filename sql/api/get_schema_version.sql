-- For the readiness check: a service serves only a schema that it knows.

CREATE OR REPLACE FUNCTION api.get_schema_version() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT max(m.migration_id) FROM ops.migration AS m;
$$;

REVOKE EXECUTE ON FUNCTION api.get_schema_version () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_schema_version () TO energy_service;

COMMENT ON FUNCTION api.get_schema_version () IS 'The newest migration of this database';
