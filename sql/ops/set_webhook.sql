-- The random bits are those of gen_random_uuid, as for API keys (telemetry.make_api_key).

CREATE OR REPLACE FUNCTION ops.set_webhook(
    p_name text,
    p_url text,
    p_severities text [] DEFAULT NULL,
    p_is_enabled boolean DEFAULT TRUE,
    p_secret text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_secret text;
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_value(
            'name', coalesce(p_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$', FALSE), '1 to 64 letters, digits, . _ or -'
        ),
        telemetry.require_value(
            'url',
            coalesce(p_url ~ '^https?://[^/?#@[:space:][:cntrl:]]+([/?][^#[:space:][:cntrl:]]*)?$' AND length(p_url) <= 2048, FALSE),
            'an address as https://host/path, of at most 2048 characters, without user and password'
        ),
        telemetry.require_value(
            'severities',
            cardinality(p_severities) > 0 AND p_severities <@ ARRAY['info', 'warning', 'critical'],
            'some of info, warning and critical, or NULL for all'
        ),
        telemetry.require_value('is_enabled', p_is_enabled IS NOT NULL, 'true or false'),
        telemetry.require_value(
            'secret',
            p_secret ~ '^whsec_([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
            'whsec_ and the base64 of 24 to 64 bytes'
        );
    INSERT INTO telemetry.webhook AS w (name, url, severities, is_enabled, secret)
    VALUES (
        p_name, p_url, p_severities, p_is_enabled, coalesce(p_secret, 'whsec_' || encode(sha256(
            uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
        ), 'base64'))
    )
    ON CONFLICT (name) DO UPDATE
    SET url = p_url, severities = p_severities, is_enabled = p_is_enabled, secret = coalesce(p_secret, w.secret)
    RETURNING w.secret INTO v_secret;
    RETURN v_secret;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_webhook (text, text, text [], boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_webhook (text, text, text [], boolean, text) TO energy_dba;

COMMENT ON FUNCTION ops.set_webhook (text, text, text [], boolean, text) IS
'Makes or changes a webhook, and returns the secret with which its receiver verifies signatures. Without p_secret a new webhook gets a random one, and a known one keeps its own. p_severities NULL is all. Raises IE004 for an invalid value';
