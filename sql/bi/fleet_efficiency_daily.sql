-- The fleet's day. Energies and ratio are those of the judged vehicles (normal, low, impossible). Vehicles with one
-- side would distort the ratio by gaps, parked ones by their standby.

CREATE OR REPLACE VIEW bi.fleet_efficiency_daily AS
SELECT
    f.bucket,
    f.kwh_consumed_ac,
    f.kwh_delivered_dc,
    telemetry.plain_ratio(f.kwh_consumed_ac, f.kwh_delivered_dc) AS efficiency_ratio,
    telemetry.fleet_status(f.kwh_consumed_ac, f.kwh_delivered_dc, f.vehicles_idle) AS efficiency_status,
    f.vehicles,
    f.vehicles_normal,
    f.vehicles_low,
    f.vehicles_impossible,
    f.vehicles_unknown,
    f.vehicles_complete,
    f.vehicles_idle,
    f.date
FROM (
    SELECT
        v.bucket,
        v.date,
        sum(v.kwh_consumed_ac) FILTER (WHERE v.efficiency_status IN ('normal', 'low', 'impossible')) AS kwh_consumed_ac,
        sum(v.kwh_delivered_dc) FILTER (WHERE v.efficiency_status IN ('normal', 'low', 'impossible')) AS kwh_delivered_dc,
        count(*) AS vehicles,
        count(*) FILTER (WHERE v.efficiency_status = 'normal') AS vehicles_normal,
        count(*) FILTER (WHERE v.efficiency_status = 'low') AS vehicles_low,
        count(*) FILTER (WHERE v.efficiency_status = 'impossible') AS vehicles_impossible,
        count(*) FILTER (WHERE v.efficiency_status = 'idle') AS vehicles_idle,
        count(*) FILTER (WHERE v.efficiency_status = 'unknown') AS vehicles_unknown,
        count(*) FILTER (WHERE v.is_complete) AS vehicles_complete
    FROM bi.vehicle_efficiency_daily AS v
    GROUP BY v.bucket, v.date
) AS f;

GRANT SELECT ON bi.fleet_efficiency_daily TO energy_bi;

COMMENT ON VIEW bi.fleet_efficiency_daily IS 'The fleet''s energy balance, day by day, over the vehicles that are judged';
COMMENT ON COLUMN bi.fleet_efficiency_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
COMMENT ON COLUMN bi.fleet_efficiency_daily.kwh_consumed_ac IS 'AC energy drawn, kWh, of the vehicles that are normal, low or impossible';
COMMENT ON COLUMN bi.fleet_efficiency_daily.kwh_delivered_dc IS 'DC energy that reached the batteries, kWh, of the same vehicles';
COMMENT ON COLUMN bi.fleet_efficiency_daily.efficiency_ratio IS 'DC delivered / AC consumed, 4 decimals. Do not average it: divide sums';
COMMENT ON COLUMN bi.fleet_efficiency_daily.efficiency_status IS 'low, normal or impossible; without such vehicles, idle where some were idle, else unknown';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles IS 'Vehicles with a reading on either side';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_normal IS 'Vehicles from 0.85 to 1';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_low IS 'Vehicles below 0.85';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_impossible IS 'Vehicles above 1';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_unknown IS 'Vehicles with readings on one side only, or with an interval longer than the day';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_complete IS 'Vehicles with all expected readings on both sides';
COMMENT ON COLUMN bi.fleet_efficiency_daily.vehicles_idle IS 'Vehicles to which nothing was delivered, and whose meter drew no more than in standby';
COMMENT ON COLUMN bi.fleet_efficiency_daily.date IS 'The day in the fleet''s time zone. Filter on bucket, which opens no chunk outside the bounds';
