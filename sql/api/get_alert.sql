-- One alert, for its page and its acknowledgement.

CREATE OR REPLACE FUNCTION api.get_alert(p_id bigint) RETURNS telemetry.alert
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_alert telemetry.alert;
BEGIN
    SELECT a.* INTO v_alert FROM telemetry.alert AS a WHERE a.id = p_id;
    IF NOT found THEN
        RAISE EXCEPTION 'there is no alert %', coalesce(p_id::text, 'NULL') USING ERRCODE = 'IE008';
    END IF;
    RETURN v_alert;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_alert (bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_alert (bigint) TO energy_service;

COMMENT ON FUNCTION api.get_alert (bigint) IS 'An alert by its number. Raises IE008 if there is none';
