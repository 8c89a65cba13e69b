-- The plan of a refresh, in pieces that each commit. A refresh moves the watermark to its end, and older buckets that
-- are not materialized then vanish from the view. So pieces above the watermark are done oldest first, without a gap;
-- pieces below it newest first. The two take turns, so that neither a first load nor an import delays a late reading.
-- Hours and days do not wait for their quarter hours. Where late readings arrive all the time, one quarter hour is
-- always stale, and they would never be refreshed. Once a quarter hour is refreshed, its hour and day are stale again.

CREATE OR REPLACE FUNCTION telemetry.due_times(p_aggregate text) RETURNS TABLE (due_start timestamptz, due_end timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_resolution CONSTANT text := split_part(p_aggregate, '_', 2);
    v_zone CONSTANT text := CASE WHEN v_resolution = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END;
    v_step CONSTANT interval := CASE v_resolution WHEN '15min' THEN '1 day' WHEN 'hourly' THEN '7 days' ELSE '28 days' END;
    v_watermark CONSTANT timestamptz := telemetry.held_until(p_aggregate);
    v_chunks CONSTANT tstzmultirange := (
        SELECT coalesce(range_agg(c.during), '{}') FROM telemetry.list_source_chunks(telemetry.aggregate_source(p_aggregate)) AS c
    );
    v_due CONSTANT tstzmultirange := (
        telemetry.enclosing_buckets(telemetry.unrefreshed_times(p_aggregate) * v_chunks, v_resolution)
        - telemetry.enclosing_buckets(telemetry.dropped_times(telemetry.aggregate_source(p_aggregate)), v_resolution)
    ) * tstzmultirange(tstzrange(NULL, telemetry.refresh_limit(p_aggregate)));
    v_below CONSTANT tstzmultirange := v_due * tstzmultirange(tstzrange(NULL, v_watermark));
    v_above CONSTANT tstzmultirange := v_due * tstzmultirange(tstzrange(v_watermark, NULL));
BEGIN
    RETURN QUERY
    SELECT d.piece_start, d.piece_end
    FROM (
        SELECT
            s.side, p.piece_start, least(p.piece_end, upper(s.span)) AS piece_end,
            row_number() OVER (
                PARTITION BY s.side
                ORDER BY CASE s.side WHEN 'above' THEN p.piece_start END, p.piece_start DESC
            ) AS turn
        FROM (
            SELECT 'above' AS side, a.span FROM unnest(v_above) AS a (span)
            UNION ALL
            SELECT 'below', b.span FROM unnest(v_below) AS b (span)
        ) AS s
        CROSS JOIN LATERAL (
            SELECT
                (lower(s.span) AT TIME ZONE v_zone + n.number * v_step) AT TIME ZONE v_zone AS piece_start,
                (lower(s.span) AT TIME ZONE v_zone + (n.number + 1) * v_step) AT TIME ZONE v_zone AS piece_end
            FROM generate_series(0, (extract(EPOCH FROM upper(s.span) - lower(s.span)) / extract(EPOCH FROM v_step))::integer) AS n (number)
        ) AS p
        WHERE p.piece_start < upper(s.span)
    ) AS d
    ORDER BY d.turn, d.side DESC;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.due_times (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.due_times (text) IS
'The pieces [due_start, due_end), whole buckets of at most a day (15min), a week (hourly) or four weeks (daily), over which the aggregate bi.<p_aggregate> is to be refreshed now, in this order';
