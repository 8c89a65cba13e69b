-- Times that are near each other make one: the last session of one could be joined to the first of the next.

CREATE OR REPLACE FUNCTION telemetry.session_ranges(p_times tstzmultirange) RETURNS SETOF tstzrange
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT tstzrange(
        coalesce(lower(t.span), '-infinity'),
        CASE WHEN upper_inf(t.span) THEN 'infinity' ELSE upper(t.span) - (2 * telemetry.session_reach() + f.session_gap) END
    )
    FROM telemetry.fleet AS f
    CROSS JOIN LATERAL (
        SELECT unnest(range_agg(tstzrange(lower(s.span), upper(s.span) + 2 * telemetry.session_reach() + f.session_gap))) AS span
        FROM unnest(p_times) AS s (span)
    ) AS t;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.session_ranges (tstzmultirange) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.session_ranges (tstzmultirange) IS
'The ranges of p_times, bounded by infinity where they are open; those less than twice telemetry.session_reach and a session gap apart are one';
