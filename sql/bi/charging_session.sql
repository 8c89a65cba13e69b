-- One row for each charge, exact at any time. A condition on vehicle_id or started_at reaches the index of the stored ones.
-- api.list_sessions reads the same for a window and some vehicles.

CREATE OR REPLACE VIEW bi.charging_session AS
SELECT
    s.session_id::text AS session_id,
    s.vehicle_id,
    s.meter_id,
    s.started_at,
    s.ended_at,
    j.duration_s,
    s.kwh_delivered_dc,
    j.kwh_consumed_ac,
    j.kwh_lost,
    j.efficiency_ratio,
    j.efficiency_status,
    s.soc_start,
    s.soc_end,
    s.battery_temp_avg,
    s.battery_temp_max,
    j.mean_kw,
    s.peak_kw,
    s.readings,
    s.meter_readings,
    j.is_complete,
    j.is_open,
    c.currency,
    c.cost,
    c.co2_kg::double precision AS co2_kg
FROM telemetry.current_session AS s
LEFT JOIN telemetry.device AS m ON m.kind = 'meter' AND m.device_id = s.meter_id
LEFT JOIN telemetry.device AS v ON v.kind = 'vehicle' AND v.device_id = s.vehicle_id
CROSS JOIN telemetry.fleet AS f
CROSS JOIN LATERAL telemetry.judge_session(
    ROW(s.*)::telemetry.charging_session,
    -- the interval that is assumed without any
    telemetry.expected_interval(m.expected_interval, NULL), telemetry.expected_interval(v.expected_interval, NULL),
    f.standby_kw, f.session_gap
) AS j
LEFT JOIN LATERAL telemetry.session_cost(s.vehicle_id, s.started_at, s.ended_at) AS c ON TRUE;

GRANT SELECT ON bi.charging_session TO energy_bi;

COMMENT ON VIEW bi.charging_session IS 'Charging sessions: delivered energy without a break of more than the fleet''s session gap (15 minutes, unless the DBA has set another). Exact at any time';
COMMENT ON COLUMN bi.charging_session.session_id IS 'The session''s id; it stays while the session grows. Of joined sessions the older id survives, of a split one the first piece keeps it';
COMMENT ON COLUMN bi.charging_session.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.charging_session.meter_id IS 'The meter of the first AC reading in the session; NULL without any';
COMMENT ON COLUMN bi.charging_session.started_at IS 'Start of the first interval with delivered energy';
COMMENT ON COLUMN bi.charging_session.ended_at IS 'End of the last interval with delivered energy';
COMMENT ON COLUMN bi.charging_session.duration_s IS 'From started_at to ended_at, seconds';
COMMENT ON COLUMN bi.charging_session.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.charging_session.kwh_consumed_ac IS 'AC energy that the vehicle''s meters drew after started_at, up to and including ended_at, kWh; NULL without a reading';
COMMENT ON COLUMN bi.charging_session.kwh_lost IS 'kwh_consumed_ac - kwh_delivered_dc, kWh; NULL if either is unknown, or if intervals of a slower meter lie across the start or the end';
COMMENT ON COLUMN bi.charging_session.efficiency_ratio IS 'DC delivered / AC consumed, 4 decimals; NULL if it is unknown, or no AC was consumed. Do not average it: divide sums';
COMMENT ON COLUMN bi.charging_session.efficiency_status IS 'low (below 0.85: a fault or leakage), normal (to 1), impossible (above 1), unknown (no AC readings, a session shorter than the interval of either device, or intervals of a slower meter across its start or end)';
COMMENT ON COLUMN bi.charging_session.soc_start IS 'State of charge at the start, else at the first reading that measured it, percent';
COMMENT ON COLUMN bi.charging_session.soc_end IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN bi.charging_session.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it. Do not average it: sessions have different lengths';
COMMENT ON COLUMN bi.charging_session.battery_temp_max IS 'Highest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.charging_session.mean_kw IS 'Mean DC power from start to end, kW';
COMMENT ON COLUMN bi.charging_session.peak_kw IS 'Highest mean DC power of an interval, kW';
COMMENT ON COLUMN bi.charging_session.readings IS 'Readings of the vehicle in the session';
COMMENT ON COLUMN bi.charging_session.meter_readings IS 'Readings of its meters in the session';
COMMENT ON COLUMN bi.charging_session.is_complete IS 'True if each side has readings, and at most one of the expected ones is missing';
COMMENT ON COLUMN bi.charging_session.is_open IS 'True if it may still grow: it ended less than a session gap ago';
COMMENT ON COLUMN bi.charging_session.currency IS 'Currency (ISO 4217 code) of cost; NULL without a price, and with prices in several currencies (bi.charging_session_cost has a row for each)';
COMMENT ON COLUMN bi.charging_session.cost IS 'Cost of the AC energy that has a price, in currency, not rounded: round sums; NULL without a price, and with prices in several currencies';
COMMENT ON COLUMN bi.charging_session.co2_kg IS 'CO2 emitted for the AC energy that has a grid intensity, kg; NULL without one';
