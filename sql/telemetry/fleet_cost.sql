-- For bi.fleet_cost_daily, whose readers may read neither the history nor the prices. As the view of the quarter hours, it
-- reads their table, and in real time what is later.

CREATE OR REPLACE FUNCTION telemetry.fleet_cost(p_start timestamptz, p_end timestamptz) RETURNS TABLE (
    currency text,
    vehicles bigint,
    kwh_consumed_ac numeric,
    kwh_priced numeric,
    cost numeric,
    kwh_with_intensity numeric,
    co2_kg numeric
)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 2
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH link AS MATERIALIZED (
        SELECT
            m.vehicle_id, m.meter_id, greatest(m.valid_from, p_start) AS starts, least(m.valid_until, p_end) AS ends,
            row_number() OVER () AS segment
        FROM telemetry.fleet_meters(p_start, p_end) AS m
    )
    SELECT
        c.currency,
        count(DISTINCT l.vehicle_id),
        sum(c.kwh_consumed_ac),
        sum(c.kwh_priced),
        sum(c.cost),
        sum(c.kwh_with_intensity),
        sum(c.co2_kg)
    FROM telemetry.price_segments(
        ARRAY(SELECT l.meter_id FROM link AS l ORDER BY l.segment),
        ARRAY(SELECT l.starts FROM link AS l ORDER BY l.segment),
        ARRAY(SELECT l.ends FROM link AS l ORDER BY l.segment),
        telemetry.unheld_times('meter_15min', FALSE)
    ) AS c
    JOIN link AS l ON c.segment = l.segment
    GROUP BY c.currency;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_cost (timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.fleet_cost (timestamptz, timestamptz) TO energy_bi;

COMMENT ON FUNCTION telemetry.fleet_cost (timestamptz, timestamptz) IS
'AC energy (kWh) of all vehicles after p_start, up to and including p_end, its cost (in the currency, not rounded) and CO2 (kg): a row for each currency, and one (currency and cost NULL) for energy without a price, with the number of vehicles';
