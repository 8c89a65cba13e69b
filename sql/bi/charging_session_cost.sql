-- Cost and CO2 of each charge, joined when they are read. Cut as bi.vehicle_cost_daily: sessions and what lies between them
-- add up to the days.

CREATE OR REPLACE VIEW bi.charging_session_cost AS
SELECT
    s.session_id,
    s.vehicle_id,
    s.started_at,
    s.ended_at,
    c.currency,
    sum(c.kwh_consumed_ac)::double precision AS kwh_consumed_ac,
    sum(c.kwh_priced)::double precision AS kwh_priced,
    sum(c.cost) AS cost,
    sum(c.kwh_with_intensity)::double precision AS kwh_with_intensity,
    sum(c.co2_kg)::double precision AS co2_kg
FROM bi.charging_session AS s
JOIN bi.vehicle_meter AS l
    ON
        s.vehicle_id = l.vehicle_id
        AND (l.valid_from IS NULL OR l.valid_from < s.ended_at)
        AND (l.valid_until IS NULL OR l.valid_until > s.started_at)
CROSS JOIN LATERAL telemetry.energy_cost(
    l.meter_id, greatest(s.started_at, l.valid_from), least(s.ended_at, l.valid_until)
) AS c
GROUP BY s.session_id, s.vehicle_id, s.started_at, s.ended_at, c.currency;

GRANT SELECT ON bi.charging_session_cost TO energy_bi;

COMMENT ON VIEW bi.charging_session_cost IS 'AC energy of charging sessions, with its cost and CO2: a row for each currency, and one (currency and cost NULL) for energy without a price; none for a session without AC readings';
COMMENT ON COLUMN bi.charging_session_cost.session_id IS 'The session''s id, as in bi.charging_session';
COMMENT ON COLUMN bi.charging_session_cost.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.charging_session_cost.started_at IS 'Start of the session';
COMMENT ON COLUMN bi.charging_session_cost.ended_at IS 'End of the session';
COMMENT ON COLUMN bi.charging_session_cost.currency IS 'Currency (ISO 4217 code) of the row; NULL for the energy without a price';
COMMENT ON COLUMN bi.charging_session_cost.kwh_consumed_ac IS 'AC energy that the vehicle''s meters drew in the session, kWh';
COMMENT ON COLUMN bi.charging_session_cost.kwh_priced IS 'Of it, energy with a price, kWh: divide sums for the priced share';
COMMENT ON COLUMN bi.charging_session_cost.cost IS 'Cost of the priced energy in currency, not rounded: round sums; NULL without a price';
COMMENT ON COLUMN bi.charging_session_cost.kwh_with_intensity IS 'Of the energy, that with a grid intensity, kWh';
COMMENT ON COLUMN bi.charging_session_cost.co2_kg IS 'CO2 emitted for the energy with a grid intensity, kg; NULL without one';
