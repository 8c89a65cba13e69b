-- Sizes come from files and catalogs, rows from the columnstore's own count or the last ANALYZE: nothing is scanned.

CREATE OR REPLACE FUNCTION ops.list_chunks() RETURNS TABLE (
    object text,
    chunk text,
    range_start timestamptz,
    range_end timestamptz,
    is_compressed boolean,
    rows_estimated bigint,
    bytes bigint,
    raw_bytes bigint,
    is_due boolean,
    archived_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        p.object,
        format('%I.%I', i.chunk_schema, i.chunk_name),
        i.range_start,
        i.range_end,
        i.is_compressed,
        CASE WHEN i.is_compressed THEN z.numrows_pre_compression ELSE greatest(c.reltuples, 0)::bigint END,
        d.total_bytes,
        CASE
            WHEN i.is_compressed
                THEN z.uncompressed_heap_size + z.uncompressed_index_size + z.uncompressed_toast_size
            ELSE d.total_bytes
        END,
        coalesce(i.range_end <= now() - p.drop_after, FALSE),
        a.verified_at
    FROM ops.policy AS p
    CROSS JOIN LATERAL ops.policy_table(p.object) AS t (hypertable)
    JOIN timescaledb_information.chunks AS i
        ON format('%I.%I', i.hypertable_schema, i.hypertable_name)::regclass = t.hypertable
    JOIN LATERAL public.chunks_detailed_size(t.hypertable) AS d
        ON d.chunk_schema = i.chunk_schema AND d.chunk_name = i.chunk_name
    JOIN pg_class AS c ON c.oid = format('%I.%I', i.chunk_schema, i.chunk_name)::regclass
    LEFT JOIN _timescaledb_catalog.compression_chunk_size AS z ON z.chunk_id = _timescaledb_functions.chunk_id_from_relid(c.oid)
    LEFT JOIN ops.archived_chunk AS a
        ON p.object = 'telemetry.' || a.kind || '_telemetry_history'
        AND a.range_start = i.range_start AND a.range_end = i.range_end
        AND a.dropped_at IS NULL; -- a new chunk of these times is another one
$$;

REVOKE EXECUTE ON FUNCTION ops.list_chunks () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_chunks () TO energy_dba;

COMMENT ON FUNCTION ops.list_chunks () IS 'The rows of ops.chunk_list';
