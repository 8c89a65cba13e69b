-- The lock belongs to the session: it ends with the import or with its connection. A second import of the same file
-- waits for lock_timeout, and then fails.

CREATE OR REPLACE FUNCTION api.begin_import(p_import_id text, p_kind text, p_file_name text, p_resume boolean)
RETURNS TABLE (
    rows_done bigint, stored bigint, duplicates bigint, conflicts bigint, rejected bigint, rejected_bytes bigint
)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    SELECT pg_advisory_lock(hashtextextended(p_import_id, 0));
    DELETE FROM telemetry.import_progress WHERE import_id = p_import_id AND NOT p_resume;
    INSERT INTO telemetry.import_progress AS i (import_id, kind, file_name)
    VALUES (p_import_id, p_kind, p_file_name)
    ON CONFLICT (import_id) DO UPDATE SET updated_at = now()
    RETURNING i.rows_done, i.stored, i.duplicates, i.conflicts, i.rejected, i.rejected_bytes;
$$;

REVOKE EXECUTE ON FUNCTION api.begin_import (text, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.begin_import (text, text, text, boolean) TO energy_service;

COMMENT ON FUNCTION api.begin_import (text, text, text, boolean) IS
'Takes the lock of an import for this session, and returns its progress so far; zero unless p_resume';
