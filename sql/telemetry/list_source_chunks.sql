-- Chunks are listed by the name of their table, which no other chunk ever gets: a refresh finds the dropped ones by it.

CREATE OR REPLACE FUNCTION telemetry.list_source_chunks(p_source text) RETURNS TABLE (chunk text, during tstzrange)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT format('%I.%I', i.chunk_schema, i.chunk_name), tstzrange(i.range_start, i.range_end)
    FROM timescaledb_information.chunks AS i
    WHERE format('%I.%I', i.hypertable_schema, i.hypertable_name)::regclass = ops.policy_table(p_source);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_source_chunks (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_source_chunks (text) IS
'The chunks of p_source, a history or aggregate with its schema: the table of each, and its range of time';
