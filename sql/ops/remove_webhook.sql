-- Its messages go with it, as nobody could send them any more.

CREATE OR REPLACE FUNCTION ops.remove_webhook(p_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    DELETE FROM telemetry.webhook AS w WHERE w.name = p_name;
    IF NOT found THEN
        RAISE EXCEPTION 'there is no webhook %', coalesce(left(p_name, 64), 'NULL') USING ERRCODE = 'IE004';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.remove_webhook (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.remove_webhook (text) TO energy_dba;

COMMENT ON FUNCTION ops.remove_webhook (text) IS
'Removes a webhook and its pending messages. Raises IE004 if there is no such webhook';
