-- A fleet's energy, added up before it is priced: meters of one zone have the same prices, unless a meter has its own. A
-- row for each meter and quarter hour would be 29 million for a month of 10,000. Quarter hours that are stale in the
-- aggregate, or cut by a link, come from the history. EXECUTE: as in telemetry.sum_readings.

CREATE OR REPLACE FUNCTION telemetry.fleet_quarters(p_start timestamptz, p_end timestamptz)
RETURNS TABLE (meter_id text, bucket timestamptz, kwh numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_stale CONSTANT tstzmultirange := telemetry.unheld_times('meter_15min', TRUE) * tstzmultirange(tstzrange(p_start, p_end));
    v_links record;
    v_span tstzrange;
BEGIN
    SELECT
        array_agg(l.meter_id) AS meter_ids,
        array_agg(l.priced_as) AS priced_as,
        array_agg(l.starts) AS starts,
        array_agg(l.ends) AS ends,
        array_agg(public.time_bucket('15 minutes', l.starts + INTERVAL '15 minutes' - INTERVAL '1 microsecond')) AS firsts,
        array_agg(public.time_bucket('15 minutes', l.ends)) AS lasts
    INTO v_links
    FROM (
        SELECT
            m.meter_id,
            greatest(m.valid_from, p_start) AS starts,
            least(m.valid_until, p_end) AS ends,
            min(m.meter_id) OVER (PARTITION BY z.tariff) AS priced_as
        FROM telemetry.fleet_meters(p_start, p_end) AS m
        LEFT JOIN telemetry.meter_zone AS z ON z.meter_id = m.meter_id
    ) AS l
    WHERE l.starts < l.ends;

    FOREACH v_span IN ARRAY ARRAY(
        SELECT t.span FROM unnest(tstzmultirange(tstzrange(p_start, p_end)) - v_stale) AS t (span)
    ) LOOP
        RETURN QUERY EXECUTE format(
            'SELECT l.priced_as, a.bucket, sum(a.kwh_consumed_ac::numeric)
            FROM unnest($1, $2, $3, $4) AS l (meter_id, priced_as, first, last)
            JOIN %s AS a ON a.meter_id = l.meter_id AND a.bucket >= l.first AND a.bucket < l.last
            WHERE a.bucket >= $5 AND a.bucket < $6
            GROUP BY 1, 2',
            telemetry.aggregate_table('meter_15min')
        )
        USING v_links.meter_ids, v_links.priced_as, v_links.firsts, v_links.lasts, lower(v_span), upper(v_span);
    END LOOP;

    FOREACH v_span IN ARRAY ARRAY(SELECT t.span FROM unnest(v_stale) AS t (span)) LOOP
        RETURN QUERY EXECUTE
            'SELECT l.priced_as, public.time_bucket(''15 minutes'', h.counted_at), sum(h.kwh_consumed_ac::numeric)
            FROM unnest($1, $2, $3, $4) AS l (meter_id, priced_as, starts, ends)
            JOIN telemetry.meter_telemetry_history AS h
                ON h.meter_id = l.meter_id AND h.counted_at >= l.starts AND h.counted_at < l.ends
            WHERE h.counted_at >= $5 AND h.counted_at < $6
            GROUP BY 1, 2'
        USING v_links.meter_ids, v_links.priced_as, v_links.starts, v_links.ends, lower(v_span), upper(v_span);
    END LOOP;

    RETURN QUERY
    SELECT l.priced_as, q.bucket, q.kwh::numeric
    FROM unnest(
        v_links.meter_ids, v_links.priced_as, v_links.starts, v_links.ends, v_links.firsts, v_links.lasts
    ) AS l (meter_id, priced_as, starts, ends, first, last)
    CROSS JOIN LATERAL (
        SELECT
            tstzmultirange(tstzrange(l.starts, l.ends))
            - CASE WHEN l.first < l.last THEN tstzmultirange(tstzrange(l.first, l.last)) ELSE '{}' END - v_stale AS times
    ) AS cut
    CROSS JOIN LATERAL telemetry.sum_quarters(l.meter_id, cut.times) AS q
    WHERE (l.starts < l.first OR l.ends > l.last) AND NOT isempty(cut.times);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_quarters (timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fleet_quarters (timestamptz, timestamptz) IS
'AC energy (kWh) of all meters that feed vehicles, each in its times of [p_start, p_end), as telemetry.counted_at, in quarter hours: of meters with the same prices and intensities together, with one of them as meter_id. Rows of a meter and quarter hour are to be added up';
