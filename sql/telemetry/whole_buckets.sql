-- A bucket counts only if all of it is in the times given. One that is cut at an edge has to be read from a finer
-- source.

CREATE OR REPLACE FUNCTION telemetry.whole_buckets(
    p_times tstzmultirange, p_width interval, p_time_zone text
) RETURNS tstzmultirange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce(range_agg(tstzrange(b.first, b.last)) FILTER (WHERE b.first < b.last), '{}')
    FROM unnest(p_times) AS t (span)
    CROSS JOIN LATERAL (
        SELECT
            public.time_bucket(p_width, lower(t.span), p_time_zone) AS before,
            public.time_bucket(p_width, upper(t.span), p_time_zone) AS last
    ) AS e
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN e.before = lower(t.span) THEN e.before
                -- on the clock of the zone, where a day has 24 hours
                ELSE (e.before AT TIME ZONE p_time_zone + p_width) AT TIME ZONE p_time_zone
            END AS first,
            e.last
    ) AS b;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.whole_buckets (tstzmultirange, interval, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.whole_buckets (tstzmultirange, interval, text) IS
'The buckets of p_width, in the time zone given (IANA name), that are wholly in p_times (bounded), as times';
