-- As telemetry.meter_price.

CREATE OR REPLACE VIEW telemetry.meter_intensity AS
SELECT
    z.meter_id,
    FALSE AS is_own,
    p.zone,
    p.during,
    p.days,
    p.local_from,
    p.local_until,
    p.co2_g_per_kwh,
    p.week
FROM telemetry.meter_zone AS z
JOIN ops.grid_intensity AS p ON z.zone = p.zone AND coalesce(p.meter_id, '') = ''
UNION ALL
SELECT
    z.meter_id,
    TRUE,
    p.zone,
    p.during,
    p.days,
    p.local_from,
    p.local_until,
    p.co2_g_per_kwh,
    p.week
FROM telemetry.meter_zone AS z
JOIN ops.grid_intensity AS p ON z.zone = p.zone AND coalesce(p.meter_id, '') = z.meter_id;

COMMENT ON VIEW telemetry.meter_intensity IS 'Grid intensities that apply to meters: those of their price zone, and their own, which go before';
COMMENT ON COLUMN telemetry.meter_intensity.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_intensity.is_own IS 'True for one of this meter alone, which goes before those of the zone';
COMMENT ON COLUMN telemetry.meter_intensity.zone IS 'The price zone';
COMMENT ON COLUMN telemetry.meter_intensity.during IS 'Times at which it holds: from (included) to (excluded); without an end it still holds';
COMMENT ON COLUMN telemetry.meter_intensity.days IS 'Days of the week on which it holds, as digits from 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN telemetry.meter_intensity.local_from IS 'Local time of day from which it holds, in the time zone of the price zone';
COMMENT ON COLUMN telemetry.meter_intensity.local_until IS 'Local time of day until which it holds, excluded; at or before local_from, it is on the day after';
COMMENT ON COLUMN telemetry.meter_intensity.co2_g_per_kwh IS 'CO2 emitted for the energy, g/kWh';
COMMENT ON COLUMN telemetry.meter_intensity.week IS 'The same days and times as minutes of the local week, from 0 (Monday 00:00) to 10080';
