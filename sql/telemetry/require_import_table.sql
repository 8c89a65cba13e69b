-- An import function has the rights of energy_owner on a temporary table that it finds by name. A table made by the
-- caller could be a view, whose functions would run with those rights.

CREATE OR REPLACE FUNCTION telemetry.require_import_table(p_name text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_class
        WHERE oid = to_regclass('pg_temp.' || p_name) AND relkind = 'r' AND relowner = 'energy_owner'::regrole
    ) THEN
        RAISE EXCEPTION 'this session has no import table of its own: api.make_import_table makes it'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.require_import_table (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.require_import_table (text) IS
'Raises unless this session has the temporary table p_name from api.make_import_table';
