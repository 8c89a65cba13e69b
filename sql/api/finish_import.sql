-- A complete import leaves nothing behind but its readings; the next refresh brings them into the aggregates.

CREATE OR REPLACE FUNCTION api.finish_import(p_import_id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    DELETE FROM telemetry.import_progress WHERE import_id = p_import_id;
    SELECT pg_advisory_unlock(hashtextextended(p_import_id, 0));
$$;

REVOKE EXECUTE ON FUNCTION api.finish_import (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.finish_import (text) TO energy_service;

COMMENT ON FUNCTION api.finish_import (text) IS
'Deletes the record of a complete import, and releases its lock';
