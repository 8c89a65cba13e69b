-- What an aggregate does not hold as its source now has it: what is not materialized yet, and what has changed since.
-- TimescaleDB keeps account of both, in the transaction of each change, in the logs that its refresh works off; the names
-- of those catalogs stand here, in aggregate_table, and nowhere else. Times without a chunk in the history are not stale:
-- of what was dropped only the aggregate is left, also where an older chunk has been restored.

CREATE OR REPLACE FUNCTION telemetry.stale_times(p_aggregate text) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_stale tstzmultirange;
    v_source_id integer;
    -- in the microseconds of those catalogs; a refresh from NULL on leaves a range that ends one before it
    c_first_timestamp CONSTANT bigint := _timescaledb_functions.to_unix_microseconds('4714-11-24 00:00:00Z BC');
BEGIN
    SELECT range_agg(s.span), max(s.raw_hypertable_id) INTO v_stale, v_source_id
    FROM (
        SELECT a.raw_hypertable_id, tstzrange(_timescaledb_functions.to_timestamp(w.watermark), NULL) AS span
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.continuous_aggs_watermark AS w ON w.mat_hypertable_id = a.mat_hypertable_id
        WHERE a.user_view_schema = 'bi' AND a.user_view_name = p_aggregate
        UNION ALL
        SELECT a.raw_hypertable_id, tstzrange(
                _timescaledb_functions.to_timestamp(l.lowest_modified_value),
                -- half-open as everything else, to the microsecond that a time has
                _timescaledb_functions.to_timestamp(l.greatest_modified_value) + INTERVAL '1 microsecond'
            )
        FROM _timescaledb_catalog.continuous_agg AS a
        CROSS JOIN LATERAL (
            SELECT h.lowest_modified_value, h.greatest_modified_value
            FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log AS h
            WHERE h.hypertable_id = a.raw_hypertable_id
            UNION ALL
            SELECT m.lowest_modified_value, m.greatest_modified_value
            FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log AS m
            WHERE m.materialization_id = a.mat_hypertable_id
            UNION ALL
            SELECT r.lowest_modified_value, r.greatest_modified_value
            FROM _timescaledb_catalog.continuous_aggs_materialization_ranges AS r
            WHERE r.materialization_id = a.mat_hypertable_id
        ) AS l
        WHERE
            a.user_view_schema = 'bi' AND a.user_view_name = p_aggregate
            AND l.greatest_modified_value >= c_first_timestamp
    ) AS s;

    RETURN v_stale * (
        SELECT coalesce(
                range_agg(tstzrange(
                    _timescaledb_functions.to_timestamp(s.range_start), _timescaledb_functions.to_timestamp(s.range_end)
                ))
                + tstzmultirange(tstzrange(_timescaledb_functions.to_timestamp(max(s.range_end)), NULL)),
                '{}'
            )
        FROM _timescaledb_catalog.dimension AS d
        JOIN _timescaledb_catalog.dimension_slice AS s ON s.dimension_id = d.id
        WHERE d.hypertable_id = v_source_id
    );
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.stale_times (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.stale_times (text) IS
'The times of which the aggregate bi.<p_aggregate> does not hold what it is made of (the history, or another aggregate''s table) holds in this transaction';
