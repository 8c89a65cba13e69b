-- The energy of one meter with its prices. A SQL body, which the planner merges into the views, so that conditions of their
-- readers reach the chunks.

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
    SELECT c.currency, c.kwh_consumed_ac, c.kwh_priced, c.cost, c.kwh_with_intensity, c.co2_kg
    FROM (
        SELECT array_agg(q.bucket) AS buckets, array_agg(q.kwh::numeric) AS kwh
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
    ) AS e
    CROSS JOIN LATERAL telemetry.price_energy(p_meter_id, p_from, p_until, e.buckets, e.kwh) AS c;
END;

REVOKE EXECUTE ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) TO energy_bi;

COMMENT ON FUNCTION telemetry.energy_cost (text, timestamptz, timestamptz, tstzmultirange) IS
'AC energy of a meter after p_from, up to and including p_until, with its cost and CO2: a row for each currency, and one (currency and cost NULL) for energy without a price. Each quarter hour counts at its own price; of one that the window cuts, the readings within. Columns: energy (kWh), of it energy with a price (kWh), its cost (in the currency, not rounded), energy with a grid intensity (kWh), its CO2 (kg). What has no price or no intensity is NULL, not 0. Quarter hours are those of bi.meter_15min; those in p_stale, in whole quarter hours, are read from the history';
