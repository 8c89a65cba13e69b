-- The sums of a fleet's overview: each vehicle, each hour, and today. An hour belongs as a whole to the meter that
-- feeds the vehicle at its start, as in bi.vehicle_efficiency_hourly. Most vehicles have one meter throughout, which
-- feeds no other: one scan of the fleet gives their sums. Only for the others is each hour summed separately.
-- enable_nestloop: as in telemetry.fleet_balance.

CREATE OR REPLACE FUNCTION telemetry.fleet_sums(
    p_start timestamptz, p_end timestamptz, p_today_start timestamptz, p_exact boolean
) RETURNS TABLE (
    vehicle_id text, bucket timestamptz, expected_interval interval, kwh_consumed_ac double precision, kwh_delivered_dc double precision
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
    WITH link AS MATERIALIZED (
        SELECT
            m.vehicle_id, m.meter_id, m.valid_from, m.valid_until,
            telemetry.expected_interval(p.expected_interval, s.observed_interval) AS expected,
            coalesce(m.valid_from <= p_start, TRUE) AND coalesce(m.valid_until >= p_end, TRUE)
            AND count(*) OVER (PARTITION BY m.meter_id) = 1 AS is_whole
        FROM telemetry.fleet_meters(p_start, p_end) AS m
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'meter' AND p.device_id = m.meter_id
        LEFT JOIN telemetry.meter_current_status AS s ON s.meter_id = m.meter_id
    ),
    part AS MATERIALIZED (
        SELECT l.vehicle_id, m.bucket, l.expected, m.kwh
        FROM telemetry.sum_buckets(
            'meter', 'hourly', p_start, p_end, ARRAY(SELECT DISTINCT i.meter_id FROM link AS i WHERE NOT i.is_whole), p_exact
        ) AS m
        JOIN link AS l
            ON
                l.meter_id = m.device_id
                AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
    ),
    meter AS MATERIALIZED (
        SELECT m.device_id, m.bucket, m.kwh, m.kwh_today
        FROM telemetry.sum_fleet('meter', p_start, p_end, p_today_start, p_exact, ARRAY(
            SELECT i.meter_id FROM telemetry.meter_current_status AS i
            WHERE NOT EXISTS (SELECT FROM link AS l WHERE l.meter_id = i.meter_id AND l.is_whole)
        )) AS m
    ),
    vehicle AS MATERIALIZED (
        SELECT v.device_id, v.bucket, v.kwh, v.kwh_today
        FROM telemetry.sum_fleet('vehicle', p_start, p_end, p_today_start, p_exact) AS v
    )
    SELECT s.vehicle_id, s.bucket, max(s.expected), sum(s.kwh_ac), sum(s.kwh_dc)
    FROM (
        SELECT l.vehicle_id, NULL::timestamptz AS bucket, l.expected, m.kwh AS kwh_ac, NULL::double precision AS kwh_dc
        FROM meter AS m
        JOIN link AS l ON l.meter_id = m.device_id AND l.is_whole
        WHERE m.kwh IS NOT NULL
        UNION ALL
        SELECT p.vehicle_id, NULL, p.expected, p.kwh, NULL FROM part AS p
        UNION ALL
        SELECT v.device_id, NULL, telemetry.expected_interval(p.expected_interval, c.observed_interval), NULL, v.kwh
        FROM vehicle AS v
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'vehicle' AND p.device_id = v.device_id
        LEFT JOIN telemetry.vehicle_current_status AS c ON c.vehicle_id = v.device_id
        WHERE v.device_id IS NOT NULL AND v.kwh IS NOT NULL
        UNION ALL
        SELECT NULL, p.bucket, NULL, p.kwh, NULL FROM part AS p
        UNION ALL
        SELECT NULL, m.bucket, NULL, m.kwh, NULL FROM meter AS m WHERE m.bucket IS NOT NULL AND m.kwh IS NOT NULL
        UNION ALL
        SELECT NULL, v.bucket, NULL, NULL, v.kwh FROM vehicle AS v WHERE v.bucket IS NOT NULL AND v.kwh IS NOT NULL
        UNION ALL
        SELECT NULL, NULL, NULL, m.kwh_today, NULL FROM meter AS m WHERE m.device_id IS NULL AND m.bucket IS NULL
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, v.kwh_today FROM vehicle AS v WHERE v.device_id IS NULL AND v.bucket IS NULL
    ) AS s
    GROUP BY s.vehicle_id, s.bucket;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz, timestamptz, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz, timestamptz, boolean) IS
'AC consumed and DC delivered (kWh; NULL without a reading on that side): in the hours (of UTC; the last one as far as p_end) of [p_start, p_end), of every vehicle (bucket is NULL; with the longest expected interval of it and the meters that fed it) and of all of them in each hour (vehicle_id is NULL); and in [p_today_start, p_end), of all meters and all vehicles (both are NULL). p_exact: as in telemetry.fresh_times';
