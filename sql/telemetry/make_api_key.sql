-- The random bits are those of gen_random_uuid, from the operating system's generator (122 in each): three of them
-- hashed are a secret of 256 bits. Calls are serialized, so that the limit of keys holds.

CREATE OR REPLACE FUNCTION telemetry.make_api_key(
    p_scope text, p_kind text, p_device_ids text [], p_id_prefix text, p_expires_at timestamptz, p_note text
) RETURNS TABLE (key_id text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_key_id CONSTANT text := 'ek_' || left(replace(gen_random_uuid()::text, '-', ''), 20);
    v_secret CONSTANT text := rtrim(translate(encode(sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    ), 'base64'), '+/', '-_'), '=');
BEGIN
    LOCK TABLE telemetry.api_key IN SHARE ROW EXCLUSIVE MODE;
    IF p_scope = 'device' AND (
        SELECT count(*) >= 2
        FROM telemetry.api_key AS k
        WHERE
            k.scope = 'device' AND k.kind = p_kind AND k.device_ids[1] = p_device_ids[1]
            AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    ) THEN
        RAISE EXCEPTION '% % has two live keys already: revoke one first', p_kind, p_device_ids[1]
            USING ERRCODE = 'IE004';
    END IF;
    INSERT INTO telemetry.api_key (
        key_id, secret_sha256, scope, kind, device_ids, id_prefix, expires_at, note
    ) VALUES (
        v_key_id, sha256(convert_to(v_secret, 'UTF8')), p_scope, p_kind, p_device_ids, p_id_prefix, p_expires_at, p_note
    );
    RETURN QUERY SELECT v_key_id, v_key_id || '.' || v_secret, p_expires_at;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.make_api_key (text, text, text [], text, timestamptz, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.make_api_key (text, text, text [], text, timestamptz, text) IS
'Stores a new API key with a new secret, and returns its token, which is stored nowhere. Raises IE004 if the device has two live keys';
