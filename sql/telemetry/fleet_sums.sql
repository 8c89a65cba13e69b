-- What a fleet's overview is made of, in one pass: each vehicle, and each hour. An hour belongs, whole, to the meter that feeds
-- the vehicle at its start, as in bi.vehicle_efficiency_hourly.
-- enable_nestloop: as in telemetry.fleet_balance.

CREATE OR REPLACE FUNCTION telemetry.fleet_sums(p_start timestamptz, p_end timestamptz)
RETURNS TABLE (
    vehicle_id text, bucket timestamptz, kwh_consumed_ac double precision, kwh_delivered_dc double precision
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
BEGIN
    -- EXECUTE: the bounds are constants to the planner, which opens the chunks of that time only
    RETURN QUERY EXECUTE format(
        $query$
            SELECT s.vehicle_id, s.bucket, sum(s.kwh_ac), sum(s.kwh_dc)
            FROM (
                SELECT l.vehicle_id, m.bucket, m.kwh_consumed_ac AS kwh_ac, NULL::double precision AS kwh_dc
                FROM telemetry.fleet_meters($1, $2) AS l
                JOIN %1$s AS m
                    ON
                        l.meter_id = m.meter_id
                        AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                        AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
                WHERE m.bucket >= $1 AND m.bucket < $2
                UNION ALL
                SELECT v.vehicle_id, v.bucket, NULL, v.kwh_delivered_dc
                FROM %2$s AS v
                WHERE v.bucket >= $1 AND v.bucket < $2
            ) AS s
            GROUP BY GROUPING SETS ((s.vehicle_id), (s.bucket))
        $query$,
        telemetry.fleet_source('meter_hourly'), telemetry.fleet_source('vehicle_hourly')
    ) USING p_start, p_end;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_sums (timestamptz, timestamptz) IS
'AC consumed and DC delivered (kWh; NULL without a reading on that side) in the hours (of UTC) that begin in [p_start, p_end): of every vehicle (bucket is NULL), and of all of them in each hour (vehicle_id is NULL)';
