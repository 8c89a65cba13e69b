-- The one place that joins energy to prices. A SQL body, which the planner merges into the views, so that conditions of their
-- readers reach the chunks. OFFSET 0 keeps the sums of energy in front of the joins.

CREATE OR REPLACE FUNCTION telemetry.energy_cost(
    p_meter_id text, p_from timestamptz, p_until timestamptz, p_stale tstzmultirange DEFAULT '{}'
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
                q.bucket, q.kwh::numeric AS kwh,
                telemetry.week_minute(q.bucket, (SELECT telemetry.price_time_zone(p_meter_id))) AS minute
            FROM (
                SELECT m.bucket, m.kwh_consumed_ac AS kwh
                FROM bi.meter_15min AS m
                WHERE
                    m.meter_id = p_meter_id
                    AND m.bucket >= public.time_bucket('15 minutes', p_from + INTERVAL '15 minutes' - INTERVAL '1 microsecond')
                    AND m.bucket < public.time_bucket('15 minutes', p_until)
                    AND NOT p_stale @> m.bucket
                UNION ALL
                SELECT h.bucket, h.kwh
                FROM (
                    SELECT
                        (w.times - CASE WHEN b.first < b.last THEN tstzmultirange(tstzrange(b.first, b.last)) ELSE '{}' END)
                        + w.times * p_stale AS times
                    FROM (SELECT tstzmultirange(tstzrange(p_from, p_until)) AS times) AS w
                    CROSS JOIN (
                        SELECT
                            public.time_bucket('15 minutes', p_from + INTERVAL '15 minutes' - INTERVAL '1 microsecond') AS first,
                            public.time_bucket('15 minutes', p_until) AS last
                    ) AS b
                ) AS other
                CROSS JOIN LATERAL telemetry.sum_quarters(p_meter_id, other.times) AS h
                WHERE NOT isempty(other.times)
            ) AS q
            OFFSET 0
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

REVOKE EXECUTE ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) TO energy_bi;

COMMENT ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) IS
'AC energy of a meter after p_from, up to and including p_until, with its cost and CO2: a row for each currency, and one (currency and cost NULL) for energy without a price. Each quarter hour counts at its own price; of one that the window cuts, the readings within. Columns: energy (kWh), of it energy with a price (kWh), its cost (in the currency, not rounded), energy with a grid intensity (kWh), its CO2 (kg). What has no price or no intensity is NULL, not 0. Quarter hours are those of bi.meter_15min; those in p_stale, in whole quarter hours, are read from the history';
