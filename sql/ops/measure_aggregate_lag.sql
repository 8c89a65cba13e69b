-- An aggregate is behind where readings are there that a tier should have taken up. Without new readings none is.

CREATE OR REPLACE FUNCTION ops.measure_aggregate_lag() RETURNS TABLE (
    aggregate text, materialized_until timestamptz, behind interval, stale_ranges tstzmultirange, health text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
    WITH newest (stream, recorded_at) AS (
        SELECT 'meter', max(m.recorded_at) FROM telemetry.meter_current_status AS m
        UNION ALL
        SELECT 'vehicle', max(v.recorded_at) FROM telemetry.vehicle_current_status AS v
    ),
    lag AS (
        SELECT
            p.object,
            p.live_end + p.live_every AS patience,
            m.until,
            b.width,
            greatest(
                least(n.recorded_at, now() - p.live_end) - b.width - coalesce(m.until, n.recorded_at - INTERVAL '100 years'),
                INTERVAL '0'
            ) AS behind,
            telemetry.stale_times(substr(p.object, 4)) * tstzmultirange(
                tstzrange(now() - p.late_start, greatest(m.until, now() - p.late_start))
            ) AS stale
        FROM ops.policy AS p
        JOIN newest AS n ON p.object LIKE 'bi.' || n.stream || '%'
        CROSS JOIN LATERAL (
            SELECT CASE split_part(p.object, '_', 2)
                WHEN '15min' THEN INTERVAL '15 minutes' WHEN 'hourly' THEN INTERVAL '1 hour' ELSE INTERVAL '1 day'
            END AS width
        ) AS b
        LEFT JOIN LATERAL (
            SELECT _timescaledb_functions.to_timestamp(w.watermark) AS until
            FROM _timescaledb_catalog.continuous_agg AS a
            JOIN _timescaledb_catalog.continuous_aggs_watermark AS w USING (mat_hypertable_id)
            WHERE
                a.user_view_schema = 'bi' AND a.user_view_name = substr(p.object, 4)
                -- before anything is materialized it is the first moment that a timestamp can hold
                AND _timescaledb_functions.to_timestamp(w.watermark) > '0001-01-01'
        ) AS m ON TRUE
    )
    SELECT
        l.object, l.until, coalesce(l.behind, INTERVAL '0'), coalesce(l.stale, '{}'),
        CASE WHEN l.behind > 2 * l.patience THEN 'late' ELSE 'ok' END
    FROM lag AS l;
$$;

REVOKE EXECUTE ON FUNCTION ops.measure_aggregate_lag () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.measure_aggregate_lag () TO energy_dba;

COMMENT ON FUNCTION ops.measure_aggregate_lag () IS 'The rows of ops.aggregate_lag';
