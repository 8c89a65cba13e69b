-- The one place that joins energy to prices. A SQL body, which the planner merges into its callers.

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
        SELECT
            e.kwh,
            coalesce(own_price.price_per_kwh, price.price_per_kwh) AS price_per_kwh,
            coalesce(own_price.currency, price.currency) AS currency,
            coalesce(own_intensity.co2_g_per_kwh, intensity.co2_g_per_kwh) AS co2_g_per_kwh
        FROM (
            SELECT
                q.bucket, q.kwh,
                telemetry.week_minute(q.bucket, (SELECT telemetry.price_time_zone(p_meter_id))) AS minute
            FROM unnest(p_buckets, p_kwh) AS q (bucket, kwh)
            OFFSET 0 -- once a quarter hour, not once a price
        ) AS e
        LEFT JOIN telemetry.list_prices(p_meter_id, TRUE, p_from, p_until) AS own_price
            ON own_price.starts <= e.bucket AND e.bucket < own_price.ends AND own_price.week @> e.minute
        LEFT JOIN telemetry.list_prices(p_meter_id, FALSE, p_from, p_until) AS price
            ON price.starts <= e.bucket AND e.bucket < price.ends AND price.week @> e.minute
        LEFT JOIN telemetry.list_intensities(p_meter_id, TRUE, p_from, p_until) AS own_intensity
            ON own_intensity.starts <= e.bucket AND e.bucket < own_intensity.ends AND own_intensity.week @> e.minute
        LEFT JOIN telemetry.list_intensities(p_meter_id, FALSE, p_from, p_until) AS intensity
            ON intensity.starts <= e.bucket AND e.bucket < intensity.ends AND intensity.week @> e.minute
    ) AS r
    GROUP BY r.currency;
END;

REVOKE EXECUTE ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) TO energy_bi;

COMMENT ON FUNCTION telemetry.price_energy (text, timestamptz, timestamptz, timestamptz [], numeric []) IS
'Cost and CO2 of energies p_kwh (kWh) in the quarter hours p_buckets, all of p_from to p_until, at the prices of a meter; columns as in telemetry.energy_cost';
