-- Which part of a window the aggregates of a stream hold as the history has it: whole days in the daily one, and times in
-- the one of quarter hours, of which whole quarter hours can be read. A short window need not ask.

CREATE OR REPLACE FUNCTION telemetry.fresh_times(
    p_stream text, p_start timestamptz, p_end timestamptz, OUT quarters tstzmultirange, OUT days tstzmultirange
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    quarters := '{}';
    days := '{}';
    IF p_end - p_start >= INTERVAL '15 minutes' THEN
        quarters := tstzmultirange(tstzrange(p_start, p_end)) - telemetry.stale_times(p_stream || '_15min');
        IF p_end - p_start >= INTERVAL '23 hours' THEN
            days := telemetry.whole_buckets(
                quarters - telemetry.stale_days(p_stream || '_daily', p_start, p_end),
                '1 day',
                (SELECT f.time_zone FROM telemetry.fleet AS f)
            );
        END IF;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fresh_times (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fresh_times (text, timestamptz, timestamptz) IS
'The times in [p_start, p_end) that the aggregates of a stream (meter or vehicle) hold as its history does: in quarter hours, and in whole days';
