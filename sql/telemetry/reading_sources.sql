-- The sources of a sum over a window. Whole days or hours and whole quarter hours are read from the aggregates, as far
-- as these equal the history. The rest (the edges, the newest, recent changes) is read from the history. So an answer
-- is always exact, and a year costs little more than a day.

CREATE OR REPLACE FUNCTION telemetry.reading_sources(
    p_kind text, p_start timestamptz, p_end timestamptz, p_coarse text DEFAULT 'daily', p_exact boolean DEFAULT TRUE
) RETURNS TABLE (source text, piece_start timestamptz, piece_end timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.source, s.piece_start, s.piece_end
    FROM telemetry.fresh_times(p_kind, p_start, p_end, p_coarse, p_exact) AS f
    CROSS JOIN LATERAL telemetry.split_times(p_start, p_end, p_coarse, f.quarters, f.coarse) AS s;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.reading_sources (text, timestamptz, timestamptz, text, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.reading_sources (text, timestamptz, timestamptz, text, boolean) IS
'The pieces [piece_start, piece_end) of a window, and the source of the sums of a kind (meter or vehicle) in each: p_coarse (daily or hourly) or 15min (the aggregates), or history';
