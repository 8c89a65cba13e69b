-- bi.meter_daily with the local day as a plain date, for tools that draw a timestamp at another midnight. An aggregate gets
-- no column in place: it would have to be made anew, without the days of which the quarter hours are gone.

CREATE OR REPLACE VIEW bi.meter_day AS
SELECT
    d.meter_id,
    d.bucket,
    d.kwh_consumed_ac,
    d.readings,
    d.voltage_min,
    d.voltage_avg,
    d.voltage_max,
    d.voltage_sum,
    d.voltage_readings,
    (d.bucket AT TIME ZONE f.time_zone)::date AS date
FROM bi.meter_daily AS d
CROSS JOIN telemetry.fleet AS f;

GRANT SELECT ON bi.meter_day TO energy_bi;

COMMENT ON VIEW bi.meter_day IS 'Days (of the fleet''s time zone) of every smart meter: bi.meter_daily, and the day as a date';
COMMENT ON COLUMN bi.meter_day.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_day.bucket IS 'Start of the day, midnight of the fleet''s time zone: it holds readings after that, up to and including the next midnight';
COMMENT ON COLUMN bi.meter_day.kwh_consumed_ac IS 'AC energy drawn, kWh';
COMMENT ON COLUMN bi.meter_day.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.meter_day.voltage_min IS 'Lowest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_day.voltage_avg IS 'Mean mains voltage, V, over the readings that measured it. Do not average it: see voltage_sum';
COMMENT ON COLUMN bi.meter_day.voltage_max IS 'Highest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_day.voltage_sum IS 'Sum of the measured mains voltage, V: divide sums of it by sums of voltage_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.meter_day.voltage_readings IS 'Readings in the bucket that measured the mains voltage';
COMMENT ON COLUMN bi.meter_day.date IS 'The day in the fleet''s time zone. Filter on bucket, which opens no chunk outside the bounds';
