-- The parts of a window for which the aggregates of a kind equal the history: whole days or hours, and whole quarter
-- hours. A short window needs none. For a cheap view of a large fleet (p_exact is false), all materialized times pass,
-- even with late readings.

CREATE OR REPLACE FUNCTION telemetry.fresh_times(
    p_kind text, p_start timestamptz, p_end timestamptz, p_coarse text, p_exact boolean,
    OUT quarters tstzmultirange, OUT coarse tstzmultirange
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_window CONSTANT tstzmultirange := tstzmultirange(tstzrange(p_start, p_end));
    v_zone CONSTANT text := CASE WHEN p_coarse = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END;
BEGIN
    quarters := '{}';
    coarse := '{}';
    IF p_end - p_start >= INTERVAL '15 minutes' THEN
        quarters := telemetry.whole_buckets(v_window - telemetry.unheld_times(p_kind || '_15min', p_exact), '15 minutes', 'UTC');
        IF p_end - p_start >= (CASE p_coarse WHEN 'daily' THEN INTERVAL '23 hours' WHEN 'hourly' THEN INTERVAL '1 hour' END) THEN
            coarse := telemetry.whole_buckets(quarters, telemetry.bucket_width(p_coarse), v_zone);
            -- the last 24 hours have no whole day, and need not ask
            IF NOT isempty(coarse) THEN
                coarse := telemetry.whole_buckets(
                    coarse - telemetry.unheld_times(p_kind || '_' || p_coarse, p_exact),
                    telemetry.bucket_width(p_coarse), v_zone
                );
            END IF;
        END IF;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.fresh_times (text, timestamptz, timestamptz, text, boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.fresh_times (text, timestamptz, timestamptz, text, boolean) IS
'The whole quarter hours, and of these the whole buckets of p_coarse (hourly, daily; 15min for none), in [p_start, p_end) for which the aggregates of a kind (meter or vehicle) equal its history, as times; with p_exact false, all that are materialized';
