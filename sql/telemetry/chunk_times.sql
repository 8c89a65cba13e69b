-- A hypertable can have rows in its chunks, and later than all of them.

CREATE OR REPLACE FUNCTION telemetry.chunk_times(p_hypertable_id integer) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce(
        range_agg(tstzrange(
            _timescaledb_functions.to_timestamp(s.range_start), _timescaledb_functions.to_timestamp(s.range_end)
        ))
        + tstzmultirange(tstzrange(_timescaledb_functions.to_timestamp(max(s.range_end)), NULL)),
        '{}'
    )
    FROM _timescaledb_catalog.dimension AS d
    JOIN _timescaledb_catalog.dimension_slice AS s ON s.dimension_id = d.id
    WHERE d.hypertable_id = p_hypertable_id;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.chunk_times (integer) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.chunk_times (integer) IS
'The times of the chunks of a hypertable (given by TimescaleDB''s number), and all times after the newest; empty without chunks';
