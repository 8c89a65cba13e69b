-- The balance of every vehicle over a window, as exact as that of one. A vehicle that one meter feeds throughout takes its
-- share of one sum over the fleet; of the others the pieces of the window are summed.
-- enable_nestloop: what the planner cannot know of times (a whole window, or a piece) it takes for one vehicle in all, and
-- would compare every vehicle with every meter.

CREATE OR REPLACE FUNCTION telemetry.fleet_balance(p_start timestamptz, p_end timestamptz)
RETURNS TABLE (
    vehicle_id text,
    kwh_consumed_ac double precision,
    kwh_delivered_dc double precision,
    meter_readings bigint,
    vehicle_readings bigint
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
        FROM bi.vehicle_meter AS m
        WHERE tstzrange(m.valid_from, m.valid_until) && tstzrange(p_start, p_end)
    ),
    meter AS (
        SELECT r.device_id, sum(r.kwh) AS kwh, sum(r.readings) AS readings
        FROM telemetry.sum_readings('meter', p_start, p_end) AS r
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
        SELECT s.vehicle_id, m.kwh, m.readings
        FROM segment AS s
        JOIN meter AS m ON s.meter_id = m.device_id
        WHERE s.segment_start = p_start AND s.segment_end = p_end
        UNION ALL
        SELECT c.vehicle_ids[r.segment], r.kwh, r.readings
        FROM cut AS c
        CROSS JOIN LATERAL telemetry.sum_segments('meter', c.meter_ids, c.starts, c.ends) AS r
    ),
    side AS (
        SELECT c.vehicle_id, c.kwh AS kwh_ac, NULL::double precision AS kwh_dc, c.readings AS meter, NULL::bigint AS vehicle
        FROM consumed AS c
        UNION ALL
        SELECT r.device_id, NULL, r.kwh, NULL, r.readings
        FROM telemetry.sum_readings('vehicle', p_start, p_end) AS r
    )
    SELECT
        s.vehicle_id, sum(s.kwh_ac), sum(s.kwh_dc), coalesce(sum(s.meter), 0)::bigint, coalesce(sum(s.vehicle), 0)::bigint
    FROM side AS s
    GROUP BY s.vehicle_id;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_balance (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_balance (timestamptz, timestamptz) IS
'AC consumed and DC delivered (kWh; NULL without a reading on that side) in [p_start, p_end), and the readings counted, of every vehicle with a reading on either side';
