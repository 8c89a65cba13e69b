-- The balance of every vehicle over a window, as exact as for one vehicle, and judged alike. A vehicle with one meter
-- throughout takes its share of one sum over the fleet; for the others the pieces of the window are summed.
-- enable_nestloop: the planner assumes one vehicle for each unknown time (a whole window, or a piece), and would
-- compare every vehicle with every meter.

CREATE OR REPLACE FUNCTION telemetry.fleet_balance(p_start timestamptz, p_end timestamptz)
RETURNS TABLE (
    vehicle_id text,
    kwh_consumed_ac double precision,
    kwh_delivered_dc double precision,
    meter_readings bigint,
    vehicle_readings bigint,
    efficiency_ratio double precision,
    efficiency_status text
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
    WITH segment AS MATERIALIZED (
        SELECT
            m.vehicle_id, m.meter_id,
            greatest(m.valid_from, p_start) AS segment_start,
            least(m.valid_until, p_end) AS segment_end
        FROM telemetry.fleet_meters(p_start, p_end) AS m
    ),
    meter AS (
        SELECT r.device_id, sum(r.kwh) AS kwh, sum(r.readings) AS readings
        FROM telemetry.sum_readings('meter', p_start, p_end, p_with_measure => FALSE) AS r
        GROUP BY r.device_id
    ),
    cut AS (
        SELECT
            array_agg(s.vehicle_id) AS vehicle_ids,
            array_agg(s.meter_id) AS meter_ids,
            array_agg(s.segment_start) AS starts,
            array_agg(s.segment_end) AS ends
        FROM segment AS s
        WHERE s.segment_start > p_start OR s.segment_end < p_end
    ),
    consumed AS (
        SELECT s.vehicle_id, m.kwh, m.readings, s.meter_id
        FROM segment AS s
        JOIN meter AS m ON s.meter_id = m.device_id
        WHERE s.segment_start = p_start AND s.segment_end = p_end
        UNION ALL
        SELECT c.vehicle_ids[r.segment], r.kwh, r.readings, c.meter_ids[r.segment]
        FROM cut AS c
        CROSS JOIN LATERAL telemetry.sum_segments('meter', c.meter_ids, c.starts, c.ends) AS r
    ),
    side AS (
        SELECT
            c.vehicle_id, c.kwh AS kwh_ac, NULL::double precision AS kwh_dc, c.readings AS meter, NULL::bigint AS vehicle,
            telemetry.expected_interval(p.expected_interval, m.observed_interval) AS expected
        FROM consumed AS c
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'meter' AND p.device_id = c.meter_id
        LEFT JOIN telemetry.meter_current_status AS m ON m.meter_id = c.meter_id
        UNION ALL
        SELECT
            r.device_id, NULL, r.kwh, NULL, r.readings,
            telemetry.expected_interval(p.expected_interval, v.observed_interval)
        FROM telemetry.sum_readings('vehicle', p_start, p_end, p_with_measure => FALSE) AS r
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'vehicle' AND p.device_id = r.device_id
        LEFT JOIN telemetry.vehicle_current_status AS v ON v.vehicle_id = r.device_id
    ),
    balance AS (
        SELECT
            s.vehicle_id, sum(s.kwh_ac) AS kwh_ac, sum(s.kwh_dc) AS kwh_dc,
            coalesce(sum(s.meter), 0)::bigint AS meter, coalesce(sum(s.vehicle), 0)::bigint AS vehicle,
            max(s.expected) AS expected
        FROM side AS s
        GROUP BY s.vehicle_id
    )
    SELECT
        b.vehicle_id, b.kwh_ac, b.kwh_dc, b.meter, b.vehicle,
        telemetry.efficiency_ratio(b.kwh_ac, b.kwh_dc, p_end - p_start, b.expected, f.standby_kw),
        telemetry.efficiency_status(b.kwh_ac, b.kwh_dc, p_end - p_start, b.expected, f.standby_kw)
    FROM balance AS b
    CROSS JOIN telemetry.fleet AS f;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_balance (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_balance (timestamptz, timestamptz) IS
'AC consumed and DC delivered (kWh; NULL without a reading on that side) of the readings after p_start, up to and including p_end, the readings counted, the ratio of both and its status (telemetry.efficiency_status), of every vehicle with a reading on either side';
