-- Definitions are compared only within the versions of PostgreSQL and TimescaleDB that worded them: an upgrade of either
-- is no drift. The next migrate records the new wording.

CREATE OR REPLACE FUNCTION ops.list_drift()
RETURNS TABLE (kind text, object text, part_of text, change text, definition text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        coalesce(l.kind, s.kind), coalesce(l.object, s.object), coalesce(l.part_of, s.part_of),
        CASE WHEN l.object IS NULL THEN 'missing' WHEN s.object IS NULL THEN 'added' ELSE 'changed' END,
        l.definition
    FROM ops.list_schema() AS l
    FULL JOIN ops.schema_object AS s ON s.kind = l.kind AND s.object = l.object
    WHERE
        EXISTS (SELECT FROM ops.schema_object)
        AND (
            l.object IS NULL OR s.object IS NULL
            OR (l.definition <> s.definition AND s.recorded_with = ops.server_versions())
        );
$$;

REVOKE EXECUTE ON FUNCTION ops.list_drift () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_drift () TO energy_dba;

COMMENT ON FUNCTION ops.list_drift () IS
'The objects of the engine that are not as `energy migrate` left them: missing, added or changed, with the present definition (NULL for a missing one). None before the first record';
