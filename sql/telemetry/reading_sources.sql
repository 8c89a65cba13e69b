-- From what a sum over a window is read: whole days or hours and whole quarter hours from the aggregates, where those hold
-- what the history holds, and the rest (the edges, what is newest, what has just changed) from the history. So an answer is
-- exact whenever it is asked, and a year costs little more than a day.

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
'The pieces [piece_start, piece_end) of a window, and from what the readings of a kind (meter or vehicle) in each are summed: p_coarse (daily or hourly) or 15min (the aggregates), or history';
