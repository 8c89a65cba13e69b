-- The usable capacity of batteries, from what charging sessions delivered for the points of charge they added. A short
-- session tells little, as soc comes in whole points: so only sessions of at least 40 points count, and at least five of
-- them, of which the median is taken.

CREATE OR REPLACE VIEW bi.battery_health AS
SELECT
    m.vehicle_id,
    m.bucket,
    m.sessions,
    m.capacity_kwh,
    m.capacity_kwh / nullif(public.first(m.capacity_kwh, m.bucket) FILTER (WHERE m.capacity_kwh IS NOT NULL) OVER (
        PARTITION BY m.vehicle_id ORDER BY m.bucket
    ), 0) AS capacity_ratio
FROM (
    SELECT
        s.vehicle_id,
        date_trunc('month', s.started_at AT TIME ZONE f.time_zone) AT TIME ZONE f.time_zone AS bucket,
        count(*) AS sessions,
        CASE WHEN count(*) >= 5 THEN
            percentile_cont(0.5) WITHIN GROUP (ORDER BY s.kwh_delivered_dc * (100 / (s.soc_end - s.soc_start)))
        END AS capacity_kwh
    FROM bi.charging_session AS s
    CROSS JOIN telemetry.fleet AS f
    WHERE s.soc_end - s.soc_start >= 40
    GROUP BY 1, 2
) AS m;

GRANT SELECT ON bi.battery_health TO energy_bi;

COMMENT ON VIEW bi.battery_health IS 'Usable capacity of the batteries, month by month, estimated from charging sessions that added at least 40 points of state of charge';
COMMENT ON COLUMN bi.battery_health.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.battery_health.bucket IS 'Start of the month, in the fleet''s time zone';
COMMENT ON COLUMN bi.battery_health.sessions IS 'Sessions that count: those that began in the month and added at least 40 points';
COMMENT ON COLUMN bi.battery_health.capacity_kwh IS 'Median of their DC energy / added share of charge, kWh; NULL for fewer than five';
COMMENT ON COLUMN bi.battery_health.capacity_ratio IS 'Usable capacity (kWh) / that of the vehicle''s first month that has one (kWh). Do not average it: capacities differ';
