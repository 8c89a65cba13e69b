-- Only the materialized part of an aggregate. Its view adds the rest in real time, and costs the planner far more.

CREATE OR REPLACE FUNCTION telemetry.aggregate_table(p_aggregate text) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT format('%I.%I', h.schema_name, h.table_name)::regclass
    FROM _timescaledb_catalog.continuous_agg AS a
    JOIN _timescaledb_catalog.hypertable AS h ON a.mat_hypertable_id = h.id
    WHERE a.user_view_schema = 'bi' AND a.user_view_name = p_aggregate;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.aggregate_table (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.aggregate_table (text) IS
'The hypertable of the materialized aggregate bi.<p_aggregate>; its columns are those of the view';
