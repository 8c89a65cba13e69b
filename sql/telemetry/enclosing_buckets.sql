-- A bucket is as stale as any part of it.

CREATE OR REPLACE FUNCTION telemetry.enclosing_buckets(p_times tstzmultirange, p_resolution text) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_width CONSTANT interval := telemetry.bucket_width(p_resolution);
    v_zone CONSTANT text := CASE WHEN p_resolution = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END;
BEGIN
    RETURN (
        SELECT coalesce(range_agg(tstzrange(
            public.time_bucket(v_width, lower(t.span), v_zone),
            CASE
                WHEN upper_inf(t.span) THEN NULL
                WHEN e.floor = upper(t.span) THEN e.floor
                ELSE (e.floor AT TIME ZONE v_zone + v_width) AT TIME ZONE v_zone -- on the clock of the zone
            END
        )), '{}')
        FROM unnest(p_times) AS t (span)
        CROSS JOIN LATERAL (SELECT public.time_bucket(v_width, upper(t.span), v_zone) AS floor) AS e
    );
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.enclosing_buckets (tstzmultirange, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.enclosing_buckets (tstzmultirange, text) IS
'The buckets of a resolution (15min, hourly, daily in the fleet''s time zone) with a part in p_times, as times; p_times have lower bounds';
