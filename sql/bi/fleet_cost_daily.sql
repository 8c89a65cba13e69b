-- The fleet's day, currency by currency: the same as the vehicles' days together, but priced at once. A condition on bucket
-- leaves out the other days.

CREATE OR REPLACE VIEW bi.fleet_cost_daily AS
SELECT
    d.bucket,
    c.currency,
    c.vehicles,
    c.kwh_consumed_ac::double precision AS kwh_consumed_ac,
    c.kwh_priced::double precision AS kwh_priced,
    c.cost,
    c.kwh_with_intensity::double precision AS kwh_with_intensity,
    c.co2_kg::double precision AS co2_kg
FROM (SELECT DISTINCT m.bucket FROM bi.meter_daily AS m) AS d
CROSS JOIN telemetry.fleet AS f
CROSS JOIN LATERAL telemetry.fleet_cost(
    d.bucket, (d.bucket AT TIME ZONE f.time_zone + INTERVAL '1 day') AT TIME ZONE f.time_zone
) AS c;

GRANT SELECT ON bi.fleet_cost_daily TO energy_bi;

COMMENT ON VIEW bi.fleet_cost_daily IS 'AC energy of all vehicles day by day, with its cost and CO2: a row for each currency, and one (currency and cost NULL) for energy without a price';
COMMENT ON COLUMN bi.fleet_cost_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
COMMENT ON COLUMN bi.fleet_cost_daily.currency IS 'Currency (ISO 4217 code) of the row; NULL for the energy without a price';
COMMENT ON COLUMN bi.fleet_cost_daily.vehicles IS 'Vehicles with energy in this row';
COMMENT ON COLUMN bi.fleet_cost_daily.kwh_consumed_ac IS 'AC energy drawn by the meters that feed vehicles, each in its time, kWh';
COMMENT ON COLUMN bi.fleet_cost_daily.kwh_priced IS 'Of it, energy with a price, kWh: divide sums for the priced share';
COMMENT ON COLUMN bi.fleet_cost_daily.cost IS 'Cost of the priced energy in currency, not rounded: round sums; NULL without a price';
COMMENT ON COLUMN bi.fleet_cost_daily.kwh_with_intensity IS 'Of the energy, that with a grid intensity, kWh';
COMMENT ON COLUMN bi.fleet_cost_daily.co2_kg IS 'CO2 emitted for the energy with a grid intensity, kg; NULL without one';
