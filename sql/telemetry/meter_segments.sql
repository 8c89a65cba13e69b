-- Which meter fed a vehicle in a window, piece by piece: the links, and the default meter where there is no link. The
-- default does not count while that meter is linked to another vehicle, or its energy would be counted twice.

CREATE OR REPLACE FUNCTION telemetry.meter_segments(
    p_vehicle_id text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (meter_id text, segment_start timestamptz, segment_end timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH asked AS (
        SELECT tstzrange(p_start, p_end) AS span
    ),
    link AS (
        SELECT l.meter_id, l.during * asked.span AS span
        FROM telemetry.vehicle_meter_link AS l
        CROSS JOIN asked
        WHERE l.vehicle_id = p_vehicle_id AND l.during && asked.span
    ),
    fallback AS (
        SELECT d.meter_id, unnest(d.free) AS span
        FROM (
            SELECT
                m.meter_id,
                tstzmultirange(asked.span)
                - coalesce((SELECT range_agg(link.span) FROM link), '{}')
                - coalesce(
                    (
                        SELECT range_agg(l.during)
                        FROM telemetry.vehicle_meter_link AS l
                        WHERE l.meter_id = m.meter_id AND l.during && asked.span
                    ),
                    '{}'
                ) AS free
            FROM asked
            CROSS JOIN LATERAL telemetry.default_meter_id(p_vehicle_id) AS m (meter_id)
            WHERE m.meter_id IS NOT NULL
        ) AS d
    )
    SELECT link.meter_id, lower(link.span), upper(link.span) FROM link
    UNION ALL
    SELECT fallback.meter_id, lower(fallback.span), upper(fallback.span) FROM fallback
    ORDER BY 2;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.meter_segments (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.meter_segments (text, timestamptz, timestamptz) IS
'The meters that feed a vehicle in [p_start, p_end), one row per unbroken piece [segment_start, segment_end) in order of time: by telemetry.vehicle_meter_link, else telemetry.default_meter_id';
