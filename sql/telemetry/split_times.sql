-- The coarsest source of a time is the cheapest to sum: days or hours, then quarter hours, then the readings.

CREATE OR REPLACE FUNCTION telemetry.split_times(
    p_start timestamptz, p_end timestamptz, p_coarse text, p_fresh_quarters tstzmultirange, p_fresh_coarse tstzmultirange
) RETURNS TABLE (source text, piece_start timestamptz, piece_end timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.source, lower(p.piece), upper(p.piece)
    FROM (SELECT tstzmultirange(tstzrange(p_start, p_end)) AS times) AS w
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN isempty(p_fresh_coarse) THEN '{}'
            ELSE telemetry.whole_buckets(
                w.times * p_fresh_coarse, telemetry.bucket_width(p_coarse),
                CASE WHEN p_coarse = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END
            )
        END AS times
    ) AS d
    CROSS JOIN LATERAL (
        SELECT telemetry.whole_buckets(w.times * p_fresh_quarters - d.times, '15 minutes', 'UTC') AS times
    ) AS q
    CROSS JOIN LATERAL (
        VALUES (p_coarse, d.times), ('15min', q.times), ('history', w.times - d.times - q.times)
    ) AS s (source, times)
    CROSS JOIN LATERAL unnest(s.times) AS p (piece);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.split_times (
    timestamptz, timestamptz, text, tstzmultirange, tstzmultirange
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.split_times (
    timestamptz, timestamptz, text, tstzmultirange, tstzmultirange
) IS
'The pieces [piece_start, piece_end) of a window, and the source of the sums in each: p_coarse (daily, hourly) or 15min (the aggregates, within telemetry.fresh_times), or history';
