-- The row stays, as a record of the key's rights and its end.

CREATE OR REPLACE FUNCTION ops.revoke_api_key(p_key_id text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_revoked_at timestamptz;
BEGIN
    PERFORM api.await_standbys();
    UPDATE telemetry.api_key AS k
    SET revoked_at = coalesce(k.revoked_at, now())
    WHERE k.key_id = p_key_id
    RETURNING k.revoked_at INTO v_revoked_at;
    IF NOT found THEN
        RAISE EXCEPTION 'there is no key %', left(p_key_id, 64) USING ERRCODE = 'IE004';
    END IF;
    RETURN v_revoked_at;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.revoke_api_key (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.revoke_api_key (text) TO energy_dba;

COMMENT ON FUNCTION ops.revoke_api_key (text) IS
'Ends an API key for good, and returns the time of its end; every worker refuses it within 5 seconds. Safe to repeat. Raises IE004 if there is no such key';
