-- A single probe, planned with the bounds as constants, so that only the chunks of that time are opened.

CREATE OR REPLACE FUNCTION telemetry.has_readings(p_kind text, p_start timestamptz, p_end timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_found boolean;
BEGIN
    IF telemetry.newest_reading(p_kind) <= p_start THEN -- a reading counts before its own time
        RETURN FALSE;
    END IF;
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM telemetry.%I AS h WHERE h.counted_at >= $1 AND h.counted_at < $2)',
        p_kind || '_telemetry_history'
    ) INTO v_found USING p_start, p_end;
    RETURN v_found;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.has_readings (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.has_readings (text, timestamptz, timestamptz) IS
'True if any device of a kind (meter or vehicle) has a reading that counts in [p_start, p_end)';
