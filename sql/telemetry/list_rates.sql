-- The one place that finds the prices of quarter hours. A SQL body, which the planner merges into its callers.

CREATE OR REPLACE FUNCTION telemetry.list_rates(
    p_meter_id text, p_from timestamptz, p_until timestamptz, p_buckets timestamptz []
) RETURNS TABLE (bucket timestamptz, price_per_kwh numeric, currency text, co2_g_per_kwh numeric)
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
    SELECT
        e.bucket,
        coalesce(own_price.price_per_kwh, price.price_per_kwh),
        coalesce(own_price.currency, price.currency),
        coalesce(own_intensity.co2_g_per_kwh, intensity.co2_g_per_kwh)
    FROM (
        SELECT
            q.bucket,
            telemetry.week_minute(q.bucket, (SELECT telemetry.price_time_zone(p_meter_id))) AS minute
        FROM (SELECT DISTINCT b.bucket FROM unnest(p_buckets) AS b (bucket)) AS q
        OFFSET 0 -- once a quarter hour, not once a price
    ) AS e
    LEFT JOIN telemetry.list_prices(p_meter_id, TRUE, p_from, p_until) AS own_price
        ON own_price.starts <= e.bucket AND e.bucket < own_price.ends AND own_price.week @> e.minute
    LEFT JOIN telemetry.list_prices(p_meter_id, FALSE, p_from, p_until) AS price
        ON price.starts <= e.bucket AND e.bucket < price.ends AND price.week @> e.minute
    LEFT JOIN telemetry.list_intensities(p_meter_id, TRUE, p_from, p_until) AS own_intensity
        ON own_intensity.starts <= e.bucket AND e.bucket < own_intensity.ends AND own_intensity.week @> e.minute
    LEFT JOIN telemetry.list_intensities(p_meter_id, FALSE, p_from, p_until) AS intensity
        ON intensity.starts <= e.bucket AND e.bucket < intensity.ends AND intensity.week @> e.minute;
END;

REVOKE EXECUTE ON FUNCTION telemetry.list_rates (text, timestamptz, timestamptz, timestamptz []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.list_rates (text, timestamptz, timestamptz, timestamptz []) TO energy_bi;

COMMENT ON FUNCTION telemetry.list_rates (text, timestamptz, timestamptz, timestamptz []) IS
'Price (currency/kWh) and grid intensity (g CO2/kWh) of a meter in each of the quarter hours p_buckets, all of p_from to p_until; NULL without one';
