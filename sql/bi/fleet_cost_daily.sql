-- The fleet's day: the vehicles' days added up, currency by currency.

CREATE OR REPLACE VIEW bi.fleet_cost_daily AS
SELECT
    v.bucket,
    v.currency,
    count(*) AS vehicles,
    sum(v.kwh_consumed_ac) AS kwh_consumed_ac,
    sum(v.kwh_priced) AS kwh_priced,
    sum(v.cost) AS cost,
    sum(v.kwh_with_intensity) AS kwh_with_intensity,
    sum(v.co2_kg) AS co2_kg
FROM bi.vehicle_cost_daily AS v
GROUP BY v.bucket, v.currency;

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
