-- The differences of an aggregate from its present source: times that are not materialized yet, and later changes.
-- TimescaleDB records both in the transaction of each change, in the logs of its refresh; days that it may miss are
-- recorded by this project. The names of those catalogs are here and in aggregate_table, and nowhere else. Times
-- without a chunk in the source are excluded. Only the aggregate is left of dropped ones, even if a late reading has
-- made a new chunk.

CREATE OR REPLACE FUNCTION telemetry.unrefreshed_times(p_aggregate text) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_times tstzmultirange;
    v_source CONSTANT text := telemetry.aggregate_source(p_aggregate);
    v_source_id integer;
    -- in the microseconds of those catalogs; a refresh from NULL on leaves a range that ends one before it
    c_first_timestamp CONSTANT bigint := _timescaledb_functions.to_unix_microseconds('4714-11-24 00:00:00Z BC');
BEGIN
    SELECT range_agg(s.span), max(s.raw_hypertable_id) INTO v_times, v_source_id
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
        UNION ALL
        SELECT NULL, tstzrange(c.day, c.day + telemetry.day_length(c.day))
        FROM telemetry.changed_midnight AS c
        WHERE c.kind || '_daily' = p_aggregate
    ) AS s;

    v_times := v_times * telemetry.chunk_times(v_source_id) - telemetry.dropped_times(v_source);
    -- dropped since the last refresh recorded it
    RETURN v_times - (
        SELECT
            coalesce(range_agg(k.during) FILTER (WHERE to_regclass(k.chunk) IS NULL), '{}')
            - coalesce(range_agg(k.during) FILTER (WHERE to_regclass(k.chunk) IS NOT NULL), '{}')
        FROM telemetry.source_chunk AS k
        WHERE k.source = v_source AND k.during && v_times
    ) * tstzmultirange(tstzrange(NULL, telemetry.materialized_until(v_source)));
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.unrefreshed_times (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.unrefreshed_times (text) IS
'The times for which the aggregate bi.<p_aggregate> differs from its source (the history, or another aggregate''s table) in this transaction';
