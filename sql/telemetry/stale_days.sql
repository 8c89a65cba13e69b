-- Whole days, and one more than TimescaleDB's logs say: where the changes end exactly at the start of a bucket of a named
-- time zone, it forgets that bucket (its issue 10296), which here is the day in whose first quarter hour they end.

CREATE OR REPLACE FUNCTION telemetry.stale_days(
    p_aggregate text, p_start timestamptz, p_end timestamptz
) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce(range_agg(tstzrange(d.first, d.last)), '{}')
    FROM telemetry.fleet AS f
    CROSS JOIN LATERAL unnest(
        telemetry.stale_times(p_aggregate) * tstzmultirange(tstzrange(p_start - INTERVAL '2 days', p_end))
    ) AS t (span)
    CROSS JOIN LATERAL (
        SELECT
            public.time_bucket('1 day', lower(t.span), f.time_zone) AS first,
            (
                public.time_bucket('1 day', upper(t.span), f.time_zone) AT TIME ZONE f.time_zone + INTERVAL '1 day'
            ) AT TIME ZONE f.time_zone AS last
    ) AS d;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.stale_days (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.stale_days (text, timestamptz, timestamptz) IS
'The days (of the fleet''s time zone) around [p_start, p_end) of which the daily aggregate bi.<p_aggregate> may not hold what its quarter hours hold, as times';
