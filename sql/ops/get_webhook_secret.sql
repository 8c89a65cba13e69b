-- For the receiver's configuration, and for `energy alerts test`, which signs a message of its own.

CREATE OR REPLACE FUNCTION ops.get_webhook_secret(p_name text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_secret text;
BEGIN
    SELECT w.secret INTO v_secret FROM telemetry.webhook AS w WHERE w.name = p_name;
    IF NOT found THEN
        RAISE EXCEPTION 'there is no webhook %', coalesce(left(p_name, 64), 'NULL') USING ERRCODE = 'IE004';
    END IF;
    RETURN v_secret;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.get_webhook_secret (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.get_webhook_secret (text) TO energy_dba;

COMMENT ON FUNCTION ops.get_webhook_secret (text) IS
'The secret of a webhook, with which its receiver verifies signatures. Raises IE004 if there is no such webhook';
