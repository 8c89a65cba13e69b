-- What a fleet's overview is made of: each vehicle, and each hour. An hour belongs, whole, to the meter that feeds the vehicle
-- at its start, as in bi.vehicle_efficiency_hourly. Most vehicles have one meter all through, which feeds no other: of those
-- one scan of the fleet gives the sums. Only of the others is each hour looked at.
-- enable_nestloop: as in telemetry.fleet_balance.

CREATE OR REPLACE FUNCTION telemetry.fleet_sums(p_start timestamptz, p_end timestamptz, p_exact boolean)
RETURNS TABLE (
    vehicle_id text, bucket timestamptz, meter_id text, kwh_consumed_ac double precision, kwh_delivered_dc double precision
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
    WITH link AS MATERIALIZED (
        SELECT
            m.vehicle_id, m.meter_id, m.valid_from, m.valid_until,
            coalesce(m.valid_from <= p_start, TRUE) AND coalesce(m.valid_until >= p_end, TRUE)
            AND count(*) OVER (PARTITION BY m.meter_id) = 1 AS is_whole
        FROM telemetry.fleet_meters(p_start, p_end) AS m
    ),
    part AS MATERIALIZED (
        SELECT l.vehicle_id, m.bucket, l.meter_id, m.kwh
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
        SELECT m.device_id, m.bucket, m.kwh
        FROM telemetry.sum_fleet('meter', p_start, p_end, p_exact, TRUE, ARRAY(
            SELECT i.meter_id FROM telemetry.meter_current_status AS i
            WHERE NOT EXISTS (SELECT FROM link AS l WHERE l.meter_id = i.meter_id AND l.is_whole)
        )) AS m
    )
    SELECT s.vehicle_id, s.bucket, max(s.meter_id), sum(s.kwh_ac), sum(s.kwh_dc)
    FROM (
        SELECT l.vehicle_id, m.bucket, l.meter_id, m.kwh AS kwh_ac, NULL::double precision AS kwh_dc
        FROM meter AS m
        LEFT JOIN link AS l ON l.meter_id = m.device_id AND l.is_whole
        WHERE m.bucket IS NOT NULL OR l.vehicle_id IS NOT NULL
        UNION ALL
        SELECT p.vehicle_id, NULL, p.meter_id, p.kwh, NULL FROM part AS p
        UNION ALL
        SELECT NULL, p.bucket, NULL, p.kwh, NULL FROM part AS p
        UNION ALL
        SELECT v.device_id, v.bucket, NULL, NULL, v.kwh
        FROM telemetry.sum_fleet('vehicle', p_start, p_end, p_exact, TRUE) AS v
    ) AS s
    GROUP BY s.vehicle_id, s.bucket;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz, boolean) IS
'AC consumed and DC delivered (kWh; NULL without a reading on that side) in the hours (of UTC; the last one as far as p_end) of [p_start, p_end): of every vehicle (bucket is NULL; meter_id is one that fed it), and of all of them in each hour (vehicle_id is NULL). p_exact: as in telemetry.fresh_times';
