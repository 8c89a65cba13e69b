-- Each worker reports used keys once a minute, not with every request. The updates are in one order, so that two
-- workers cannot deadlock.

CREATE OR REPLACE FUNCTION api.record_api_key_use(p_key_ids text []) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    INSERT INTO telemetry.api_key_use AS u (key_id, last_used_at)
    SELECT k.key_id, now()
    FROM telemetry.api_key AS k
    WHERE k.key_id = ANY (p_key_ids)
    ORDER BY k.key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
    WHERE u.last_used_at < excluded.last_used_at;
$$;

REVOKE EXECUTE ON FUNCTION api.record_api_key_use (text []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.record_api_key_use (text []) TO energy_service;

COMMENT ON FUNCTION api.record_api_key_use (text []) IS
'Records that these API keys were used just now; unknown ids are ignored';
