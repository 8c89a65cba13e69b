-- The buckets that begin in a window, as a whole: the last one ends after it.

CREATE OR REPLACE FUNCTION telemetry.resolve_buckets(
    p_resolution text, p_start timestamptz, p_end timestamptz, OUT first_start timestamptz, OUT last_end timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_width CONSTANT interval := telemetry.bucket_width(p_resolution);
    v_zone CONSTANT text := CASE WHEN p_resolution = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END;
BEGIN
    SELECT
        CASE WHEN s.floor = p_start THEN p_start ELSE (s.floor AT TIME ZONE v_zone + v_width) AT TIME ZONE v_zone END,
        CASE WHEN e.floor = p_end THEN p_end ELSE (e.floor AT TIME ZONE v_zone + v_width) AT TIME ZONE v_zone END
    INTO first_start, last_end
    FROM (SELECT public.time_bucket(v_width, p_start, v_zone) AS floor) AS s
    CROSS JOIN (SELECT public.time_bucket(v_width, p_end, v_zone) AS floor) AS e;
    last_end := greatest(first_start, last_end);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.resolve_buckets (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.resolve_buckets (text, timestamptz, timestamptz) IS
'The time [first_start, last_end) of the buckets of a resolution (15min, hourly, daily) that begin in [p_start, p_end)';
