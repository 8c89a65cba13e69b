-- The findings about drift for ops.diagnose: what was changed by hand in the schema, and removed from the histories. It
-- is a function of its own, as a missing column can make ops.diagnose fail.

CREATE OR REPLACE FUNCTION ops.diagnose_schema() RETURNS TABLE (finding text, is_fault boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    WITH found AS MATERIALIZED (
        SELECT * FROM ops.list_drift()
    ),
    drift AS MATERIALIZED (
        SELECT f.*, row_number() OVER (ORDER BY f.change DESC, f.kind, f.object) AS rank
        FROM found AS f
        -- the parts of a relation that is itself missing or new go without saying
        WHERE NOT EXISTS (SELECT FROM found AS r WHERE r.object = f.part_of AND r.change <> 'changed')
    ),
    record AS MATERIALIZED (
        SELECT count(*) AS objects, mode() WITHIN GROUP (ORDER BY s.recorded_with) AS versions
        FROM ops.schema_object AS s
    )
    SELECT
        CASE
            WHEN r.objects = 0 THEN 'it is not recorded yet, so that nobody can tell what was changed: run `energy migrate`'
            WHEN r.versions <> ops.server_versions() THEN format(
                'it was recorded with %s: only names are compared until the next `energy migrate`', r.versions
            )
            ELSE format('%s objects, %s of them not as `energy migrate` left them', r.objects, (SELECT count(*) FROM drift))
        END,
        FALSE
    FROM record AS r
    UNION ALL
    SELECT
        format(
            '%s %s %s: %s', d.kind, d.object,
            CASE d.change WHEN 'missing' THEN 'is missing' WHEN 'added' THEN 'was added by hand' ELSE 'was changed by hand' END,
            CASE
                WHEN d.change <> 'added' AND d.kind IN ('function', 'procedure', 'view') THEN 'run `energy migrate`'
                ELSE 'undo that, or if it is meant, SELECT ops.accept_drift() as energy_owner'
            END
        ),
        TRUE
    FROM drift AS d
    WHERE d.rank <= 20
    UNION ALL
    SELECT
        format(
            'readings of %s from %s on were removed by hand (TRUNCATE, drop_chunks): restore them from a backup or an archive, '
            'or if it is meant, SELECT ops.accept_drift() as energy_owner',
            l.source, to_char(lower(l.times) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
        ),
        TRUE
    FROM (SELECT d.source, ops.lost_times(d.source) AS times FROM telemetry.dropped_time AS d) AS l
    WHERE NOT isempty(l.times);
$$;

REVOKE EXECUTE ON FUNCTION ops.diagnose_schema () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.diagnose_schema () TO energy_dba;

COMMENT ON FUNCTION ops.diagnose_schema () IS
'The findings of ops.diagnose about drift, a sentence a row: at most 20 objects that are not as `energy migrate` left them, and times of histories and aggregates that were removed by hand; is_fault is false for the summary';
