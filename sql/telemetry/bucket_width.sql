-- The resolutions of the aggregates by name, in one place.

CREATE OR REPLACE FUNCTION telemetry.bucket_width(p_resolution text) RETURNS interval
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_width CONSTANT interval := CASE p_resolution
        WHEN '15min' THEN INTERVAL '15 minutes'
        WHEN 'hourly' THEN INTERVAL '1 hour'
        WHEN 'daily' THEN INTERVAL '1 day'
    END;
BEGIN
    PERFORM telemetry.require_value('resolution', v_width IS NOT NULL, '15min, hourly or daily');
    RETURN v_width;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.bucket_width (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.bucket_width (text) IS
'Width of the buckets of a resolution (15min, hourly, daily); a day with a change of the clocks differs. Raises IE004 for another resolution';
