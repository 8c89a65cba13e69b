-- An array, so that concurrent look-ups share one call. The service sees only a hash, which recognises a token but
-- cannot make one.

CREATE OR REPLACE FUNCTION api.get_api_keys(p_key_ids text [])
RETURNS TABLE (
    revision bigint,
    key_id text,
    secret_sha256 bytea,
    scope text,
    kind text,
    device_ids text [],
    id_prefix text,
    expires_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT r.revision, k.key_id, k.secret_sha256, k.scope, k.kind, k.device_ids, k.id_prefix, k.expires_at
    FROM telemetry.api_key_revision AS r
    CROSS JOIN unnest(p_key_ids) WITH ORDINALITY AS asked (key_id, place)
    LEFT JOIN telemetry.api_key AS k
        ON k.key_id = asked.key_id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    ORDER BY asked.place;
$$;

REVOKE EXECUTE ON FUNCTION api.get_api_keys (text []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_api_keys (text []) TO energy_service;

COMMENT ON FUNCTION api.get_api_keys (text []) IS
'The live API keys of these ids, a row for each in input order: NULL (but for the revision) for an id without a live key; with the revision of the keys';
