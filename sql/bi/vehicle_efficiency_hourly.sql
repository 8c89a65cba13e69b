-- AC beside DC hour by hour. A bucket belongs, whole, to the meter that feeds the vehicle at its start: a change of meter within
-- it is not split here (api.get_vehicle_performance splits it to the reading). UNION ALL and GROUP BY rather than a FULL
-- JOIN: so a condition on bucket or vehicle_id reaches the aggregates below.

CREATE OR REPLACE VIEW bi.vehicle_efficiency_hourly AS
SELECT
    e.vehicle_id,
    e.bucket,
    e.meter_id,
    e.kwh_consumed_ac,
    e.kwh_delivered_dc,
    telemetry.efficiency_ratio(e.kwh_consumed_ac, e.kwh_delivered_dc) AS efficiency_ratio,
    telemetry.efficiency_status(e.kwh_consumed_ac, e.kwh_delivered_dc) AS efficiency_status,
    e.meter_readings,
    e.vehicle_readings,
    e.meter_readings_expected,
    e.vehicle_readings_expected,
    least(
        1,
        e.meter_readings / e.meter_readings_expected::double precision,
        e.vehicle_readings / e.vehicle_readings_expected::double precision
    ) AS readings_share,
    -- a reading a moment late belongs to the next bucket: one less is not a gap, but none is
    e.meter_readings >= greatest(1, e.meter_readings_expected - 1)
    AND e.vehicle_readings >= greatest(1, e.vehicle_readings_expected - 1) AS is_complete
FROM (
    SELECT
        s.vehicle_id,
        s.bucket,
        max(s.meter_id) AS meter_id,
        sum(s.kwh_consumed_ac) AS kwh_consumed_ac,
        sum(s.kwh_delivered_dc) AS kwh_delivered_dc,
        coalesce(sum(s.meter_readings), 0)::bigint AS meter_readings,
        coalesce(sum(s.vehicle_readings), 0)::bigint AS vehicle_readings,
        telemetry.expected_readings(INTERVAL '1 hour', max(s.meter_interval)) AS meter_readings_expected,
        telemetry.expected_readings(INTERVAL '1 hour', max(s.vehicle_interval)) AS vehicle_readings_expected
    FROM (
        SELECT
            v.vehicle_id,
            v.bucket,
            NULL::text AS meter_id,
            NULL::double precision AS kwh_consumed_ac,
            v.kwh_delivered_dc,
            NULL::bigint AS meter_readings,
            v.readings AS vehicle_readings,
            NULL::interval AS meter_interval,
            p.expected_interval AS vehicle_interval
        FROM bi.vehicle_hourly AS v
        LEFT JOIN telemetry.device_profile AS p ON p.stream = 'vehicle' AND p.device_id = v.vehicle_id
        UNION ALL
        SELECT
            l.vehicle_id,
            m.bucket,
            m.meter_id,
            m.kwh_consumed_ac,
            NULL,
            m.readings,
            NULL,
            p.expected_interval,
            q.expected_interval
        FROM bi.vehicle_meter AS l
        JOIN bi.meter_hourly AS m
            ON
                l.meter_id = m.meter_id
                AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
        LEFT JOIN telemetry.device_profile AS p ON p.stream = 'meter' AND p.device_id = m.meter_id
        LEFT JOIN telemetry.device_profile AS q ON q.stream = 'vehicle' AND q.device_id = l.vehicle_id
    ) AS s
    GROUP BY s.vehicle_id, s.bucket
) AS e;

GRANT SELECT ON bi.vehicle_efficiency_hourly TO energy_bi;

COMMENT ON VIEW bi.vehicle_efficiency_hourly IS 'AC consumed beside DC delivered, hour by hour; a bucket belongs to the meter that feeds the vehicle at its start';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.bucket IS 'Start of the hour (of UTC)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_id IS 'The meter that feeds the vehicle at the start of the bucket; NULL where it has no reading in it';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.kwh_consumed_ac IS 'AC energy drawn by that meter, kWh; NULL without a reading';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.kwh_delivered_dc IS 'DC energy that reached the battery, kWh; NULL without a reading';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.efficiency_ratio IS 'DC delivered / AC consumed, 4 decimals; NULL where one side is unknown, or no AC was consumed';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.efficiency_status IS 'low (below 0.85: a fault or leakage), normal (to 1), impossible (above 1), unknown (one side without readings, or no energy)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_readings IS 'Readings of the meter in the bucket';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_readings IS 'Readings of the vehicle in the bucket';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_readings_expected IS 'As many as the meter''s profile has one expect (one a minute without a profile)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_readings_expected IS 'As many as the vehicle''s profile has one expect (one a minute without a profile)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.readings_share IS 'Readings / expected readings, of the side that has the smaller share, 0 to 1';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.is_complete IS 'Whether each side has readings, and at most one of them is missing';
