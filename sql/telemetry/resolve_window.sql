-- The interpretation of start, end and hours, for all queries. At most two of them are given, and the third follows;
-- without any it is the last 24 hours.

CREATE OR REPLACE FUNCTION telemetry.resolve_window(
    p_start timestamptz, p_end timestamptz, p_hours double precision,
    OUT window_start timestamptz, OUT window_end timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_longest CONSTANT interval := INTERVAL '731 days';
BEGIN
    IF p_start IS NOT NULL AND p_end IS NOT NULL AND p_hours IS NOT NULL THEN
        RAISE EXCEPTION 'give at most two of start, end and hours' USING ERRCODE = 'IE003';
    END IF;
    IF NOT p_hours BETWEEN 1.0 / 60 AND extract(EPOCH FROM v_longest) / 3600 THEN
        RAISE EXCEPTION 'hours must be from 1/60 (a minute) to % (% days), not %',
            extract(EPOCH FROM v_longest)::bigint / 3600, extract(DAY FROM v_longest), p_hours
            USING ERRCODE = 'IE003';
    END IF;
    -- beyond these a client's own time type may overflow
    IF NOT (
        coalesce(p_start, now()) BETWEEN '1970-01-01Z' AND '9999-01-01Z'
        AND coalesce(p_end, now()) BETWEEN '1973-01-01Z' AND '9999-01-01Z'
    ) THEN
        RAISE EXCEPTION 'start must lie from 1970 to 9999, and end from 1973 to 9999' USING ERRCODE = 'IE003';
    END IF;

    window_end := coalesce(p_end, p_start + make_interval(secs => p_hours * 3600), now());
    window_start := coalesce(p_start, window_end - make_interval(secs => coalesce(p_hours, 24) * 3600));

    IF window_start >= window_end THEN
        RAISE EXCEPTION 'start % must lie before end %',
            telemetry.format_utc(window_start), telemetry.format_utc(window_end)
            USING ERRCODE = 'IE003';
    END IF;
    IF window_end - window_start > v_longest THEN
        RAISE EXCEPTION 'the window from % to % is longer than %',
            telemetry.format_utc(window_start), telemetry.format_utc(window_end), v_longest
            USING ERRCODE = 'IE003';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.resolve_window (timestamptz, timestamptz, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.resolve_window (timestamptz, timestamptz, double precision) IS
'The window [window_start, window_end) of start, end and hours, any of which may be NULL; raises IE003 if they contradict each other, are out of order or span more than 731 days';
