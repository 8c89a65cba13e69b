-- Called in the transaction that stores a chunk, so that both commit together.

CREATE OR REPLACE FUNCTION api.record_import(
    p_import_id text,
    p_rows_done bigint,
    p_stored bigint,
    p_duplicates bigint,
    p_conflicts bigint,
    p_rejected bigint,
    p_rejected_bytes bigint
)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    UPDATE telemetry.import_progress SET
        rows_done = p_rows_done,
        stored = p_stored,
        duplicates = p_duplicates,
        conflicts = p_conflicts,
        rejected = p_rejected,
        rejected_bytes = p_rejected_bytes,
        updated_at = now()
    WHERE import_id = p_import_id;
$$;

REVOKE EXECUTE ON FUNCTION api.record_import (text, bigint, bigint, bigint, bigint, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.record_import (text, bigint, bigint, bigint, bigint, bigint, bigint) TO energy_service;

COMMENT ON FUNCTION api.record_import (text, bigint, bigint, bigint, bigint, bigint, bigint) IS
'Records the progress of an import: rows of the file done, counts so far, and the length of its file of rejected rows, bytes';
