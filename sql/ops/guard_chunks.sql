-- A view guards the chunks that retention must not drop: PostgreSQL refuses to drop a table below a view. So no
-- drop_chunks and no TRUNCATE, whoever calls it, removes a chunk before energy archive has it. Only ops.drop_due_chunks
-- releases one, in the transaction that drops it.

CREATE OR REPLACE FUNCTION ops.guard_chunks(p_except regclass DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_chunks text;
BEGIN
    SELECT string_agg(format('(%L, EXISTS (SELECT FROM %s))', c.chunk, c.chunk), ', ' ORDER BY c.chunk)
    INTO v_chunks
    FROM (
        SELECT format('%I.%I', i.chunk_schema, i.chunk_name) AS chunk
        FROM ops.policy AS p
        JOIN timescaledb_information.chunks AS i ON p.object = i.hypertable_schema || '.' || i.hypertable_name
        WHERE p.archive AND p.drop_after IS NOT NULL
    ) AS c
    WHERE c.chunk::regclass IS DISTINCT FROM p_except;

    IF v_chunks IS NULL THEN
        DROP VIEW IF EXISTS ops.archive_guard;
    ELSE
        EXECUTE 'CREATE OR REPLACE VIEW ops.archive_guard (chunk, has_rows) AS VALUES ' || v_chunks;
        COMMENT ON VIEW ops.archive_guard IS 'Chunks that retention must not drop yet, as energy archive has no verified copy: this view guards them';
        COMMENT ON COLUMN ops.archive_guard.chunk IS 'The chunk';
        COMMENT ON COLUMN ops.archive_guard.has_rows IS 'True if it has rows';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.guard_chunks (regclass) FROM PUBLIC;

COMMENT ON FUNCTION ops.guard_chunks (regclass) IS
'Makes ops.archive_guard cover every chunk of the archived histories, but p_except; nothing without archiving';
