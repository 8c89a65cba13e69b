-- Each worker asks every few seconds: while the number is the same, its cache of keys is valid.

CREATE OR REPLACE FUNCTION api.get_api_key_revision() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT r.revision FROM telemetry.api_key_revision AS r;
$$;

REVOKE EXECUTE ON FUNCTION api.get_api_key_revision () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_api_key_revision () TO energy_service;

COMMENT ON FUNCTION api.get_api_key_revision () IS
'A number that changes with every change of the API keys';
