-- For one meter; telemetry.price_segments is for many. A SQL body, which the planner merges into its callers.

CREATE OR REPLACE FUNCTION telemetry.price_energy(
    p_meter_id text, p_from timestamptz, p_until timestamptz, p_buckets timestamptz [], p_kwh numeric []
) RETURNS TABLE (
    currency text,
    kwh_consumed_ac numeric,
    kwh_priced numeric,
    cost numeric,
    kwh_with_intensity numeric,
    co2_kg numeric
)
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT
        r.currency,
        sum(r.kwh),
        coalesce(sum(r.kwh) FILTER (WHERE r.price_per_kwh IS NOT NULL), 0),
        sum(r.kwh * r.price_per_kwh),
        coalesce(sum(r.kwh) FILTER (WHERE r.co2_g_per_kwh IS NOT NULL), 0),
        sum(r.kwh * r.co2_g_per_kwh / 1000)
    FROM (
        SELECT q.kwh, l.currency, l.price_per_kwh, l.co2_g_per_kwh
        FROM unnest(p_buckets, p_kwh) AS q (bucket, kwh)
        JOIN telemetry.list_rates(p_meter_id, p_from, p_until, p_buckets) AS l ON q.bucket = l.bucket
    ) AS r
    GROUP BY r.currency;
END;

REVOKE EXECUTE ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) TO energy_bi;

COMMENT ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) IS
'Cost and CO2 of energies p_kwh (kWh) in the quarter hours p_buckets, all of p_from to p_until, at the prices of a meter; columns as in telemetry.energy_cost';
