-- Cost and CO2 day by day, joined when they are read, so a changed price shows at once. A day in which the vehicle's meter
-- changes is split at the change, to the reading. A condition on bucket or vehicle_id reaches the aggregates below.

CREATE OR REPLACE VIEW bi.vehicle_cost_daily AS
SELECT
    l.vehicle_id,
    d.bucket,
    c.currency,
    sum(c.kwh_consumed_ac)::double precision AS kwh_consumed_ac,
    sum(c.kwh_priced)::double precision AS kwh_priced,
    sum(c.cost) AS cost,
    sum(c.kwh_with_intensity)::double precision AS kwh_with_intensity,
    sum(c.co2_kg)::double precision AS co2_kg
FROM telemetry.fleet AS f
CROSS JOIN bi.vehicle_meter AS l
JOIN bi.meter_daily AS d
    ON
        l.meter_id = d.meter_id
        AND (l.valid_from IS NULL OR (d.bucket AT TIME ZONE f.time_zone + INTERVAL '1 day') AT TIME ZONE f.time_zone > l.valid_from)
        AND (l.valid_until IS NULL OR d.bucket < l.valid_until)
CROSS JOIN LATERAL telemetry.energy_cost(
    d.meter_id,
    greatest(d.bucket, l.valid_from),
    least((d.bucket AT TIME ZONE f.time_zone + INTERVAL '1 day') AT TIME ZONE f.time_zone, l.valid_until)
) AS c
GROUP BY l.vehicle_id, d.bucket, c.currency;

GRANT SELECT ON bi.vehicle_cost_daily TO energy_bi;

COMMENT ON VIEW bi.vehicle_cost_daily IS 'AC energy of every vehicle day by day, with its cost and CO2: a row for each currency, and one (currency and cost NULL) for energy without a price';
COMMENT ON COLUMN bi.vehicle_cost_daily.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_cost_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
COMMENT ON COLUMN bi.vehicle_cost_daily.currency IS 'Currency (ISO 4217 code) of the row; NULL for the energy without a price';
COMMENT ON COLUMN bi.vehicle_cost_daily.kwh_consumed_ac IS 'AC energy drawn by the meters that feed the vehicle, each in its time, kWh';
COMMENT ON COLUMN bi.vehicle_cost_daily.kwh_priced IS 'Of it, energy with a price, kWh: divide sums for the priced share';
COMMENT ON COLUMN bi.vehicle_cost_daily.cost IS 'Cost of the priced energy in currency, not rounded: round sums; NULL without a price';
COMMENT ON COLUMN bi.vehicle_cost_daily.kwh_with_intensity IS 'Of the energy, that with a grid intensity, kWh';
COMMENT ON COLUMN bi.vehicle_cost_daily.co2_kg IS 'CO2 emitted for the energy with a grid intensity, kg; NULL without one';
