-- Days with a change of the clocks have 23 or 25 hours.

CREATE OR REPLACE FUNCTION telemetry.bucket_length(p_resolution text, p_bucket timestamptz) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE
        WHEN p_resolution = 'daily' THEN telemetry.day_length(p_bucket)
        ELSE telemetry.bucket_width(p_resolution)
    END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.bucket_length (text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.bucket_length (text, timestamptz) IS
'Length of the bucket of a resolution (15min, hourly, daily in the fleet''s time zone) that begins at p_bucket';
