-- The API keys without their hashes.

CREATE OR REPLACE VIEW ops.api_key AS
SELECT
    k.key_id, k.scope, k.kind, k.device_ids, k.id_prefix, k.note, k.created_at, k.created_by, k.expires_at, k.revoked_at,
    u.last_used_at,
    CASE
        WHEN k.revoked_at IS NOT NULL THEN 'revoked'
        WHEN k.expires_at <= now() THEN 'expired'
        ELSE 'live'
    END AS state
FROM telemetry.api_key AS k
LEFT JOIN telemetry.api_key_use AS u ON u.key_id = k.key_id;

GRANT SELECT ON ops.api_key TO energy_dba;

COMMENT ON VIEW ops.api_key IS 'The API keys, without their secrets; ops.create_api_key, rotate_api_key and revoke_api_key change them';
COMMENT ON COLUMN ops.api_key.key_id IS 'The first part of the token';
COMMENT ON COLUMN ops.api_key.scope IS 'device, gateway, read or admin';
COMMENT ON COLUMN ops.api_key.kind IS 'Kind of the devices, meter or vehicle; NULL for both';
COMMENT ON COLUMN ops.api_key.device_ids IS 'The devices it may send readings of';
COMMENT ON COLUMN ops.api_key.id_prefix IS 'It may also send readings of devices whose id begins with this; empty for every id, NULL for no other';
COMMENT ON COLUMN ops.api_key.note IS 'Its owner';
COMMENT ON COLUMN ops.api_key.created_at IS 'Time of its creation';
COMMENT ON COLUMN ops.api_key.created_by IS 'Login of its creator';
COMMENT ON COLUMN ops.api_key.expires_at IS 'Its end; NULL for never';
COMMENT ON COLUMN ops.api_key.revoked_at IS 'Time of its revocation; NULL without one';
COMMENT ON COLUMN ops.api_key.last_used_at IS 'Time of the last request with it, to a minute; NULL for never';
COMMENT ON COLUMN ops.api_key.state IS 'live, expired or revoked';
