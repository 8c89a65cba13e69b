-- 23 or 25 hours where the clocks change. Added in hours: adding a day depends on the session's time zone.

CREATE OR REPLACE FUNCTION telemetry.day_length(p_midnight timestamptz) RETURNS interval
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT date_part('epoch', (p_midnight AT TIME ZONE f.time_zone + INTERVAL '1 day') AT TIME ZONE f.time_zone - p_midnight)
        * INTERVAL '1 second'
    FROM telemetry.fleet AS f;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.day_length (timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.day_length (timestamptz) TO energy_bi;

COMMENT ON FUNCTION telemetry.day_length (timestamptz) IS
'Length of the day (of the fleet''s time zone) that begins at p_midnight';
