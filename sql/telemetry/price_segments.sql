-- A page of sessions, or a day of the fleet, is priced at once. Each segment is a time of one meter. Prices are looked up once
-- for all meters with the same ones. EXECUTE plans with the bounds as constants, so only the chunks of that time are opened.

CREATE OR REPLACE FUNCTION telemetry.price_segments(
    p_meter_ids text [], p_starts timestamptz [], p_ends timestamptz [], p_stale tstzmultirange
) RETURNS TABLE (
    segment bigint,
    currency text,
    kwh_consumed_ac numeric,
    kwh_priced numeric,
    cost numeric,
    kwh_with_intensity numeric,
    co2_kg numeric
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET jit = off
AS $$
DECLARE
    v_start CONSTANT timestamptz := (SELECT min(s.starts) FROM unnest(p_starts) AS s (starts));
    v_end CONSTANT timestamptz := (SELECT max(s.ends) FROM unnest(p_ends) AS s (ends));
BEGIN
    IF v_start IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        WITH segment AS (
            SELECT
                s.segment, s.meter_id, s.starts, s.ends, q.first, q.last,
                min(s.meter_id) OVER (PARTITION BY z.tariff) AS priced_as
            FROM unnest($1, $2, $3) WITH ORDINALITY AS s (meter_id, starts, ends, segment)
            LEFT JOIN telemetry.meter_zone AS z ON z.meter_id = s.meter_id
            CROSS JOIN LATERAL (
                SELECT
                    public.time_bucket('15 minutes', s.starts + INTERVAL '15 minutes' - INTERVAL '1 microsecond') AS first,
                    public.time_bucket('15 minutes', s.ends) AS last
            ) AS q
        ),
        energy AS MATERIALIZED (
            SELECT s.segment, s.priced_as, a.bucket, a.kwh_consumed_ac::numeric AS kwh
            FROM segment AS s
            JOIN %1$s AS a ON a.meter_id = s.meter_id AND a.bucket >= s.first AND a.bucket < s.last
            WHERE a.bucket >= %2$L AND a.bucket < %3$L AND NOT $4 @> a.bucket
            UNION ALL
            SELECT s.segment, s.priced_as, public.time_bucket('15 minutes', h.counted_at), h.kwh_consumed_ac::numeric
            FROM segment AS s
            CROSS JOIN LATERAL unnest(
                tstzmultirange(tstzrange(s.starts, s.ends))
                - CASE WHEN s.first < s.last THEN tstzmultirange(tstzrange(s.first, s.last)) - $4 ELSE '{}' END
            ) AS t (span)
            JOIN telemetry.meter_telemetry_history AS h
                ON h.meter_id = s.meter_id AND h.counted_at >= lower(t.span) AND h.counted_at < upper(t.span)
            WHERE h.counted_at >= %2$L AND h.counted_at < %3$L
        ),
        rate AS MATERIALIZED (
            SELECT p.priced_as, l.bucket, l.price_per_kwh, l.currency, l.co2_g_per_kwh
            FROM (
                SELECT e.priced_as, array_agg(DISTINCT e.bucket) AS buckets FROM energy AS e GROUP BY e.priced_as
            ) AS p
            CROSS JOIN LATERAL telemetry.list_rates(p.priced_as, %2$L, %3$L, p.buckets) AS l
        )
        SELECT
            e.segment, r.currency, sum(e.kwh),
            coalesce(sum(e.kwh) FILTER (WHERE r.price_per_kwh IS NOT NULL), 0), sum(e.kwh * r.price_per_kwh),
            coalesce(sum(e.kwh) FILTER (WHERE r.co2_g_per_kwh IS NOT NULL), 0), sum(e.kwh * r.co2_g_per_kwh / 1000)
        FROM energy AS e
        JOIN rate AS r ON r.priced_as = e.priced_as AND r.bucket = e.bucket
        GROUP BY e.segment, r.currency
        $query$,
        telemetry.aggregate_table('meter_15min'), v_start, v_end
    ) USING p_meter_ids, p_starts, p_ends, p_stale;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.price_segments (text [], timestamptz [], timestamptz [], tstzmultirange) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.price_segments (text [], timestamptz [], timestamptz [], tstzmultirange) IS
'telemetry.energy_cost of each of many meters after its start, up to and including its end, numbered from 1 in the order given; p_stale are the times for which the table of bi.meter_15min is not read';
