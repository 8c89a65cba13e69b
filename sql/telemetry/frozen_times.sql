-- Sessions of dropped history stay as they are, as the aggregates do: neither side may be computed without its readings.

CREATE OR REPLACE FUNCTION telemetry.frozen_times() RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce(range_agg(f.times), '{}')
    FROM (VALUES ('telemetry.meter_telemetry_history'), ('telemetry.vehicle_telemetry_history')) AS s (source)
    CROSS JOIN LATERAL (
        SELECT telemetry.dropped_times(s.source) AS times
        UNION ALL
        -- dropped since the last refresh recorded it
        SELECT
            coalesce(range_agg(k.during) FILTER (WHERE to_regclass(k.chunk) IS NULL), '{}')
            - coalesce(range_agg(k.during) FILTER (WHERE to_regclass(k.chunk) IS NOT NULL), '{}')
        FROM telemetry.source_chunk AS k
        WHERE k.source = s.source
    ) AS f;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.frozen_times () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.frozen_times () IS
'Times of which the history of either kind was dropped: charging sessions with a part in them are never computed again';
