-- The old key stays valid for a while, so that the new one can be distributed.

CREATE OR REPLACE FUNCTION ops.rotate_api_key(p_key_id text, p_keep_for interval DEFAULT INTERVAL '1 day')
RETURNS TABLE (key_id text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_old telemetry.api_key;
BEGIN
    PERFORM api.await_standbys();
    PERFORM telemetry.require_value(
        'the time to keep the old key',
        coalesce(p_keep_for BETWEEN INTERVAL '0' AND INTERVAL '90 days', FALSE),
        'from 0 to 90 days'
    );
    LOCK TABLE telemetry.api_key IN SHARE ROW EXCLUSIVE MODE;
    SELECT k.* INTO v_old
    FROM telemetry.api_key AS k
    WHERE k.key_id = p_key_id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
    IF NOT found THEN
        RAISE EXCEPTION 'there is no live key %', left(p_key_id, 64) USING ERRCODE = 'IE004';
    END IF;
    UPDATE telemetry.api_key AS k
    SET
        expires_at = least(k.expires_at, now() + p_keep_for),
        revoked_at = CASE WHEN p_keep_for = INTERVAL '0' THEN now() END
    WHERE k.key_id = p_key_id;
    RETURN QUERY
    SELECT m.key_id, m.token, m.expires_at
    FROM telemetry.make_api_key(
        v_old.scope, v_old.kind, v_old.device_ids, v_old.id_prefix,
        now() + (v_old.expires_at - v_old.created_at), v_old.note
    ) AS m;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.rotate_api_key (text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.rotate_api_key (text, interval) TO energy_dba;

COMMENT ON FUNCTION ops.rotate_api_key (text, interval) IS
'Makes a key like this live one, with the same lifetime, and returns its token, which is shown only once; the old one ends after p_keep_for, at once for 0. Raises IE004 if there is no such live key, and if its device has two';
