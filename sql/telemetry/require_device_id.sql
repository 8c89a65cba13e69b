-- Settings by people are rejected with an error, readings with an outcome; the rule is the same.

CREATE OR REPLACE FUNCTION telemetry.require_device_id(p_field text, p_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF telemetry.check_device_id(p_field, p_id) IS NOT NULL THEN
        RAISE EXCEPTION '%', (telemetry.check_device_id(p_field, p_id)).detail USING ERRCODE = 'IE004';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.require_device_id (text, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.require_device_id (text, text) IS
'Raises IE004 unless p_id is a device id; p_field is the wire name for the text';
