-- The end of the materialized part of an aggregate: TimescaleDB's watermark. Later changes before it are ignored here,
-- unlike in telemetry.unrefreshed_times. For the overview of a large fleet, a cheap figure is better than an exact one.

CREATE OR REPLACE FUNCTION telemetry.held_until(p_aggregate text) RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT _timescaledb_functions.to_timestamp(w.watermark)
    FROM _timescaledb_catalog.continuous_agg AS a
    JOIN _timescaledb_catalog.continuous_aggs_watermark AS w ON a.mat_hypertable_id = w.mat_hypertable_id
    WHERE a.user_view_schema = 'bi' AND a.user_view_name = p_aggregate;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.held_until (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.held_until (text) IS
'The time before which the aggregate bi.<p_aggregate> is materialized (its watermark)';
