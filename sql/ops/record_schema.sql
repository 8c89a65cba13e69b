-- Called at the end of each migrate, which takes no change by hand for right. An object that had drifted before, and
-- that the migrate did not touch, keeps its old record.

CREATE OR REPLACE FUNCTION ops.record_schema(p_drift jsonb DEFAULT '[]') RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    WITH drifted AS (
        SELECT d.kind, d.object, d.definition
        FROM jsonb_to_recordset(p_drift) AS d (kind text, object text, definition text)
    ),
    present AS (
        SELECT l.*
        FROM ops.list_schema() AS l
        WHERE NOT EXISTS (
            SELECT FROM drifted AS d WHERE d.kind = l.kind AND d.object = l.object AND d.definition = l.definition
        )
    ),
    gone AS (
        DELETE FROM ops.schema_object AS s
        WHERE
            NOT EXISTS (SELECT FROM present AS p WHERE p.kind = s.kind AND p.object = s.object)
            AND NOT EXISTS (SELECT FROM drifted AS d WHERE d.kind = s.kind AND d.object = s.object)
    )
    INSERT INTO ops.schema_object AS s (kind, object, part_of, definition, recorded_with)
    SELECT p.kind, p.object, p.part_of, p.definition, ops.server_versions()
    FROM present AS p
    ON CONFLICT (kind, object) DO UPDATE
    SET part_of = excluded.part_of, definition = excluded.definition, recorded_with = excluded.recorded_with
    WHERE (s.definition, s.recorded_with) IS DISTINCT FROM (excluded.definition, excluded.recorded_with);
$$;

REVOKE EXECUTE ON FUNCTION ops.record_schema (jsonb) FROM PUBLIC;

COMMENT ON FUNCTION ops.record_schema (jsonb) IS
'Records the present schema as the right one, but for the rows of ops.list_drift in p_drift that are unchanged since; `energy migrate` calls it, and ops.accept_drift';
