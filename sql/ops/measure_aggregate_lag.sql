-- An aggregate is late if its part below the watermark has been stale for too long. That is while no run of the refresh
-- that began after the readings arrived has ended. The part above the watermark is read in real time and is never
-- stale.

CREATE OR REPLACE FUNCTION ops.measure_aggregate_lag() RETURNS TABLE (
    aggregate text, materialized_until timestamptz, stale_ranges tstzmultirange, received_until timestamptz, health text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
SET standard_conforming_strings = on
AS $$
    SELECT
        p.object,
        -- the earliest possible time means that nothing is materialized
        CASE WHEN h.held_until > '0001-01-01Z' THEN h.held_until END,
        coalesce(s.ranges, '{}'),
        r.received_until,
        CASE WHEN s.ranges IS NOT NULL AND r.received_until < now() - telemetry.refresh_patience(r.kind) THEN 'late' ELSE 'ok' END
    FROM ops.policy AS p
    JOIN telemetry.refresh_state AS r ON p.object LIKE 'bi.' || r.kind || '\_%'
    CROSS JOIN LATERAL telemetry.held_until(substr(p.object, 4)) AS h (held_until)
    LEFT JOIN (
        SELECT l.aggregate, range_agg(tstzrange(l.range_start, l.range_end)) AS ranges
        FROM ops.list_stale_ranges() AS l
        GROUP BY l.aggregate
    ) AS s ON s.aggregate = p.object
    ORDER BY p.object;
$$;

REVOKE EXECUTE ON FUNCTION ops.measure_aggregate_lag () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.measure_aggregate_lag () TO energy_dba;

COMMENT ON FUNCTION ops.measure_aggregate_lag () IS 'The rows of ops.aggregate_lag';
