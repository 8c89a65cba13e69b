-- bi.vehicle_daily with the local day as a plain date, for tools that draw a timestamp at another midnight. An aggregate gets
-- no column in place: it would have to be made anew, without the days of which the quarter hours are gone.

CREATE OR REPLACE VIEW bi.vehicle_day AS
SELECT
    d.vehicle_id,
    d.bucket,
    d.kwh_delivered_dc,
    d.readings,
    d.battery_temp_min,
    d.battery_temp_avg,
    d.battery_temp_max,
    d.battery_temp_sum,
    d.soc_first,
    d.soc_last,
    d.battery_temp_readings,
    (d.bucket AT TIME ZONE f.time_zone)::date AS date
FROM bi.vehicle_daily AS d
CROSS JOIN telemetry.fleet AS f;

GRANT SELECT ON bi.vehicle_day TO energy_bi;

COMMENT ON VIEW bi.vehicle_day IS 'Days (of the fleet''s time zone) of every vehicle: bi.vehicle_daily, and the day as a date';
COMMENT ON COLUMN bi.vehicle_day.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_day.bucket IS 'Start of the day, midnight of the fleet''s time zone: it holds readings after that, up to and including the next midnight';
COMMENT ON COLUMN bi.vehicle_day.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.vehicle_day.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.vehicle_day.battery_temp_min IS 'Lowest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_day.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it. Do not average it: see battery_temp_sum';
COMMENT ON COLUMN bi.vehicle_day.battery_temp_max IS 'Highest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_day.battery_temp_sum IS 'Sum of the measured battery temperature, degrees Celsius: divide sums of it by sums of battery_temp_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.vehicle_day.soc_first IS 'State of charge at the first reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_day.soc_last IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_day.battery_temp_readings IS 'Readings in the bucket that measured the battery temperature';
COMMENT ON COLUMN bi.vehicle_day.date IS 'The day in the fleet''s time zone. Filter on bucket, which opens no chunk outside the bounds';
