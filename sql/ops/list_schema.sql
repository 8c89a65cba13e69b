-- The engine's objects as the catalog has them, each with its definition as text. Left out is what a DBA or TimescaleDB
-- may change: policies and jobs, chunks, storage parameters, rights, comments, telemetry.default_meter_id,
-- ops.archive_guard. Texts come from the catalog of one major version of PostgreSQL: another may word them otherwise.

CREATE OR REPLACE FUNCTION ops.list_schema() RETURNS TABLE (kind text, object text, part_of text, definition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH relation AS (
        SELECT c.oid, c.relkind, c.relpersistence, n.nspname || '.' || c.relname AS name
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('api', 'telemetry', 'bi', 'ops')
    )
    SELECT
        CASE
            WHEN r.relkind = 'c' THEN 'type'
            WHEN r.relkind = 'S' THEN 'sequence'
            WHEN r.relkind <> 'v' THEN 'table'
            WHEN a.view_definition IS NULL THEN 'view'
            ELSE 'aggregate'
        END,
        r.name, NULL,
        concat_ws(
            ', ',
            CASE
                WHEN a.view_definition IS NOT NULL THEN md5(a.view_definition)
                    || CASE WHEN a.materialized_only THEN ', materialized only' ELSE ', real-time' END
                WHEN r.relkind = 'v' THEN md5(pg_get_viewdef(r.oid))
                ELSE r.relpersistence::text
            END,
            'hypertable by ' || d.column_name,
            'columnstore segmented by ' || array_to_string(s.segmentby, ', ')
            || ' ordered by ' || array_to_string(s.orderby, ', ') || ' descending ' || array_to_string(s.orderby_desc, ', ')
        )
    FROM relation AS r
    LEFT JOIN timescaledb_information.continuous_aggregates AS a ON a.view_schema || '.' || a.view_name = r.name
    LEFT JOIN timescaledb_information.dimensions AS d
        ON d.hypertable_schema || '.' || d.hypertable_name = r.name AND d.dimension_number = 1
    LEFT JOIN _timescaledb_catalog.compression_settings AS s ON s.relid = r.oid
    WHERE r.relkind IN ('r', 'v', 'c', 'S') AND r.name <> 'ops.archive_guard'
    UNION ALL
    SELECT
        'column', r.name || '.' || c.attname, r.name,
        concat_ws(
            ' ',
            format_type(c.atttypid, c.atttypmod),
            CASE WHEN c.attnotnull THEN 'NOT NULL' END,
            CASE c.attidentity WHEN '' THEN NULL ELSE 'GENERATED AS IDENTITY' END,
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        )
    FROM relation AS r
    JOIN pg_attribute AS c ON c.attrelid = r.oid AND c.attnum > 0 AND NOT c.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.attrelid AND d.adnum = c.attnum
    WHERE r.relkind IN ('r', 'v', 'c') AND r.name <> 'ops.archive_guard'
    UNION ALL
    SELECT 'constraint', r.name || '.' || c.conname, r.name, pg_get_constraintdef(c.oid)
    FROM relation AS r
    JOIN pg_constraint AS c ON c.conrelid = r.oid
    WHERE c.contype NOT IN ('n', 't') -- a column has the one, which was no constraint before PostgreSQL 18, a trigger the other
    UNION ALL
    SELECT
        'index', r.name || '.' || c.relname, r.name,
        pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
    FROM relation AS r
    JOIN pg_index AS i ON i.indrelid = r.oid
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
    UNION ALL
    SELECT
        'trigger', r.name || '.' || t.tgname, r.name,
        pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (' || t.tgenabled::text || ')' END
    FROM relation AS r
    JOIN pg_trigger AS t ON t.tgrelid = r.oid
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND p.pronamespace::regnamespace::text NOT LIKE '\_timescaledb%' -- TimescaleDB's own
    UNION ALL
    SELECT
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate function' ELSE 'function' END,
        format('%s.%s(%s)', p.pronamespace::regnamespace, p.proname, pg_get_function_identity_arguments(p.oid)), NULL,
        concat_ws(
            ', ',
            pg_get_function_result(p.oid), l.lanname, 'volatility ' || p.provolatile::text, 'parallel ' || p.proparallel::text,
            CASE WHEN p.prosecdef THEN 'security definer' END, CASE WHEN p.proisstrict THEN 'strict' END,
            array_to_string(p.proconfig, ', '),
            md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc))
        )
    FROM pg_proc AS p
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE
        p.pronamespace IN ('api'::regnamespace, 'telemetry'::regnamespace, 'bi'::regnamespace, 'ops'::regnamespace)
        AND p.oid <> to_regprocedure('telemetry.default_meter_id(text)');
$$;

REVOKE EXECUTE ON FUNCTION ops.list_schema () FROM PUBLIC;

COMMENT ON FUNCTION ops.list_schema () IS
'The objects of the engine''s schemas, the relation that each is part of, and its definition in the catalog: ops.record_schema keeps these rows, and ops.list_drift compares. Left out is all that a DBA or TimescaleDB may change';
