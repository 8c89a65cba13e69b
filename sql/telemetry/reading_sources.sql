-- From what a sum over a window is read: whole days and whole quarter hours from the aggregates, where those hold what the
-- history holds, and the rest (the edges, what is newest, what has just changed) from the history. So an answer is exact
-- whenever it is asked, and a year costs little more than a day.

CREATE OR REPLACE FUNCTION telemetry.reading_sources(
    p_stream text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (source text, piece_start timestamptz, piece_end timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_window CONSTANT tstzmultirange := tstzmultirange(tstzrange(p_start, p_end));
    v_fresh tstzmultirange;
    v_days tstzmultirange := '{}';
    v_quarters tstzmultirange := '{}';
BEGIN
    IF p_end - p_start >= INTERVAL '15 minutes' THEN
        v_fresh := v_window - telemetry.stale_times(p_stream || '_15min');
        IF p_end - p_start >= INTERVAL '23 hours' THEN
            v_days := telemetry.whole_buckets(
                v_fresh - telemetry.stale_days(p_stream || '_daily', p_start, p_end),
                '1 day',
                (SELECT f.time_zone FROM telemetry.fleet AS f)
            );
        END IF;
        v_quarters := telemetry.whole_buckets(v_fresh - v_days, '15 minutes', 'UTC');
    END IF;

    RETURN QUERY
    SELECT s.source, lower(p.piece), upper(p.piece)
    FROM (
        VALUES ('daily', v_days), ('15min', v_quarters), ('history', v_window - v_days - v_quarters)
    ) AS s (source, times)
    CROSS JOIN LATERAL unnest(s.times) AS p (piece);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.reading_sources (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.reading_sources (text, timestamptz, timestamptz) IS
'The pieces [piece_start, piece_end) of a window, and from what the readings of a stream (meter or vehicle) in each are summed: daily or 15min (the aggregates), or history';
