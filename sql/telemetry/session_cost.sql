-- Cost and CO2 of one charge in one row, for bi.charging_session and the API; bi.charging_session_cost has a row for each
-- currency. A SQL body, which the planner merges into the view.

CREATE OR REPLACE FUNCTION telemetry.session_cost(
    p_vehicle_id text, p_started_at timestamptz, p_ended_at timestamptz, p_stale tstzmultirange DEFAULT '{}'
) RETURNS TABLE (currency text, cost numeric, co2_kg numeric)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT
        CASE WHEN count(DISTINCT c.currency) = 1 THEN min(c.currency) END,
        CASE WHEN count(DISTINCT c.currency) = 1 THEN sum(c.cost) END,
        sum(c.co2_kg)
    FROM bi.vehicle_meter AS l
    CROSS JOIN LATERAL telemetry.energy_cost(
        l.meter_id, greatest(p_started_at, l.valid_from), least(p_ended_at, l.valid_until), p_stale
    ) AS c
    WHERE
        l.vehicle_id = p_vehicle_id
        AND (l.valid_from IS NULL OR l.valid_from < p_ended_at)
        AND (l.valid_until IS NULL OR l.valid_until > p_started_at);
END;

REVOKE EXECUTE ON FUNCTION telemetry.session_cost (text, timestamptz, timestamptz, tstzmultirange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.session_cost (text, timestamptz, timestamptz, tstzmultirange) TO energy_bi;

COMMENT ON FUNCTION telemetry.session_cost (text, timestamptz, timestamptz, tstzmultirange) IS
'Cost (in currency, not rounded) and CO2 (kg) of the AC energy that a vehicle''s meters drew after p_started_at, up to and including p_ended_at, as in telemetry.energy_cost: one row. Currency and cost are NULL without a price, and with prices in several currencies';
