-- The prices of each meter. The expression on meter_id is that of the index.

CREATE OR REPLACE VIEW telemetry.meter_price AS
SELECT
    z.meter_id,
    FALSE AS is_own,
    p.zone,
    p.during,
    p.days,
    p.local_from,
    p.local_until,
    p.price_per_kwh,
    p.currency,
    p.week
FROM telemetry.meter_zone AS z
JOIN ops.price AS p ON z.zone = p.zone AND coalesce(p.meter_id, '') = ''
UNION ALL
SELECT
    z.meter_id,
    TRUE,
    p.zone,
    p.during,
    p.days,
    p.local_from,
    p.local_until,
    p.price_per_kwh,
    p.currency,
    p.week
FROM telemetry.meter_zone AS z
JOIN ops.price AS p ON z.zone = p.zone AND coalesce(p.meter_id, '') = z.meter_id;

COMMENT ON VIEW telemetry.meter_price IS 'Prices that apply to meters: those of their price zone, and their own, which go before';
COMMENT ON COLUMN telemetry.meter_price.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_price.is_own IS 'True for one of this meter alone, which goes before those of the zone';
COMMENT ON COLUMN telemetry.meter_price.zone IS 'The price zone';
COMMENT ON COLUMN telemetry.meter_price.during IS 'Times at which it holds: from (included) to (excluded); without an end it still holds';
COMMENT ON COLUMN telemetry.meter_price.days IS 'Days of the week on which it holds, as digits from 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN telemetry.meter_price.local_from IS 'Local time of day from which it holds, in the time zone of the price zone';
COMMENT ON COLUMN telemetry.meter_price.local_until IS 'Local time of day until which it holds, excluded; at or before local_from, it is on the day after';
COMMENT ON COLUMN telemetry.meter_price.price_per_kwh IS 'Price in currency/kWh; it may be negative';
COMMENT ON COLUMN telemetry.meter_price.currency IS 'Currency (ISO 4217 code)';
COMMENT ON COLUMN telemetry.meter_price.week IS 'The same days and times as minutes of the local week, from 0 (Monday 00:00) to 10080';
