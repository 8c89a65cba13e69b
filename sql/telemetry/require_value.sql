-- As require_device_id, for numbers and times set by people. NULL passes: the caller decides on omitted values.

CREATE OR REPLACE FUNCTION telemetry.require_value(p_field text, p_is_right boolean, p_rule text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT p_is_right THEN
        RAISE EXCEPTION '% must be %', p_field, p_rule USING ERRCODE = 'IE004';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.require_value (text, boolean, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.require_value (text, boolean, text) IS
'Raises IE004 (p_field must be p_rule) where p_is_right is false; p_field is the wire name for the text';
