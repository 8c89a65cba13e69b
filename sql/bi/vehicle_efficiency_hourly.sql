-- AC beside DC hour by hour. A bucket belongs as a whole to the meter that feeds the vehicle at its start. A change of
-- meter within it is not split here (api.get_vehicle_performance splits it to the reading). UNION ALL and GROUP BY
-- rather than a FULL JOIN: so a condition on bucket or vehicle_id reaches the aggregates below.

CREATE OR REPLACE VIEW bi.vehicle_efficiency_hourly AS
SELECT
    e.vehicle_id,
    e.bucket,
    e.meter_id,
    e.kwh_consumed_ac,
    e.kwh_delivered_dc,
    telemetry.efficiency_ratio(
        e.kwh_consumed_ac, e.kwh_delivered_dc, e.length, greatest(i.of_meter, i.of_vehicle), f.standby_kw
    ) AS efficiency_ratio,
    telemetry.efficiency_status(
        e.kwh_consumed_ac, e.kwh_delivered_dc, e.length, greatest(i.of_meter, i.of_vehicle), f.standby_kw
    ) AS efficiency_status,
    e.meter_readings,
    e.vehicle_readings,
    x.meter_readings AS meter_readings_expected,
    x.vehicle_readings AS vehicle_readings_expected,
    least(
        1,
        e.meter_readings / x.meter_readings::double precision,
        e.vehicle_readings / x.vehicle_readings::double precision
    ) AS readings_share,
    -- a reading that jitters over the edge belongs to the next bucket: one less is not a gap, but none is
    e.meter_readings >= greatest(1, x.meter_readings - 1)
    AND e.vehicle_readings >= greatest(1, x.vehicle_readings - 1) AS is_complete
FROM (
    SELECT
        s.vehicle_id,
        s.bucket,
        INTERVAL '1 hour' AS length,
        max(s.meter_id) AS meter_id,
        sum(s.kwh_consumed_ac) AS kwh_consumed_ac,
        sum(s.kwh_delivered_dc) AS kwh_delivered_dc,
        coalesce(sum(s.meter_readings), 0)::bigint AS meter_readings,
        coalesce(sum(s.vehicle_readings), 0)::bigint AS vehicle_readings
    FROM (
        SELECT
            v.vehicle_id,
            v.bucket,
            NULL::text AS meter_id,
            NULL::double precision AS kwh_consumed_ac,
            v.kwh_delivered_dc,
            NULL::bigint AS meter_readings,
            v.readings AS vehicle_readings
        FROM bi.vehicle_hourly AS v
        UNION ALL
        SELECT
            l.vehicle_id,
            m.bucket,
            m.meter_id,
            m.kwh_consumed_ac,
            NULL,
            m.readings,
            NULL
        FROM bi.vehicle_meter AS l
        JOIN bi.meter_hourly AS m
            ON
                l.meter_id = m.meter_id
                AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
                AND (l.valid_until IS NULL OR m.bucket < l.valid_until)
    ) AS s
    GROUP BY s.vehicle_id, s.bucket
) AS e
LEFT JOIN telemetry.device_profile AS mp ON mp.kind = 'meter' AND mp.device_id = e.meter_id
LEFT JOIN telemetry.meter_current_status AS ms ON ms.meter_id = e.meter_id
LEFT JOIN telemetry.device_profile AS vp ON vp.kind = 'vehicle' AND vp.device_id = e.vehicle_id
LEFT JOIN telemetry.vehicle_current_status AS vs ON vs.vehicle_id = e.vehicle_id
CROSS JOIN LATERAL (
    SELECT
        telemetry.expected_interval(mp.expected_interval, ms.observed_interval) AS of_meter,
        telemetry.expected_interval(vp.expected_interval, vs.observed_interval) AS of_vehicle
) AS i
CROSS JOIN LATERAL (
    SELECT
        telemetry.expected_readings(e.length, i.of_meter) AS meter_readings,
        telemetry.expected_readings(e.length, i.of_vehicle) AS vehicle_readings
) AS x
CROSS JOIN telemetry.fleet AS f;

GRANT SELECT ON bi.vehicle_efficiency_hourly TO energy_bi;

COMMENT ON VIEW bi.vehicle_efficiency_hourly IS 'AC consumed beside DC delivered, hour by hour; a bucket belongs to the meter that feeds the vehicle at its start';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.bucket IS 'Start of the hour (of UTC)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_id IS 'The meter that feeds the vehicle at the start of the bucket; NULL if that meter has no reading in it';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.kwh_consumed_ac IS 'AC energy drawn by that meter, kWh; NULL without a reading';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.kwh_delivered_dc IS 'DC energy that reached the battery, kWh; NULL without a reading';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.efficiency_ratio IS 'DC delivered / AC consumed, 4 decimals; NULL if it is unknown or the vehicle was idle, or no AC was consumed. Do not average it: divide sums';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.efficiency_status IS 'low (below 0.85: a fault or leakage), normal (to 1), impossible (above 1), idle (nothing delivered, and no more drawn than in standby), unknown (one side without readings, or a bucket shorter than the interval of either device)';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_readings IS 'Readings of the meter in the bucket';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_readings IS 'Readings of the vehicle in the bucket';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.meter_readings_expected IS 'Readings expected by the meter''s interval: from its profile, else as observed, else a minute';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.vehicle_readings_expected IS 'Readings expected by the vehicle''s interval: from its profile, else as observed, else a minute';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.readings_share IS 'Readings / expected readings, of the side with the smaller share, 0 to 1. Do not average it: divide sums of readings';
COMMENT ON COLUMN bi.vehicle_efficiency_hourly.is_complete IS 'True if each side has readings, and at most one of them is missing';
