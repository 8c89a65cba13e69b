-- The token is in the answer only; the database stores its hash.

CREATE OR REPLACE FUNCTION ops.create_api_key(
    p_scope text,
    p_kind text DEFAULT NULL,
    p_device_ids text [] DEFAULT NULL,
    p_id_prefix text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL,
    p_note text DEFAULT ''
) RETURNS TABLE (key_id text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_ids CONSTANT text [] := coalesce(p_device_ids, '{}');
    v_for_devices CONSTANT boolean := coalesce(p_scope IN ('device', 'gateway'), FALSE);
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_value(
            'scope', coalesce(p_scope IN ('device', 'gateway', 'read', 'admin'), FALSE), 'device, gateway, read or admin'
        ),
        telemetry.require_value('kind', p_kind IN ('meter', 'vehicle'), 'meter or vehicle'),
        telemetry.require_value('expiry', p_expires_at > now(), 'in the future'),
        telemetry.require_value('note', length(p_note) <= 200 AND p_note !~ '[[:cntrl:]]', 'at most 200 printable characters'),
        telemetry.require_value('device', cardinality(v_ids) <= 1000, 'given at most 1000 times: use a prefix for more'),
        telemetry.require_value(
            'prefix',
            length(p_id_prefix) <= 64 AND p_id_prefix ~ '^([A-Za-z0-9][A-Za-z0-9._:-]*)?$',
            'the beginning of a device id, or empty for every id'
        );
    PERFORM telemetry.require_device_id('device', coalesce(d.device_id, '')) FROM unnest(v_ids) AS d (device_id);
    PERFORM
        telemetry.require_value(
            'a device key',
            p_scope <> 'device' OR (p_kind IS NOT NULL AND cardinality(v_ids) = 1 AND p_id_prefix IS NULL),
            'given a kind and one device, and no prefix'
        ),
        telemetry.require_value(
            'a gateway key',
            p_scope <> 'gateway' OR cardinality(v_ids) > 0 OR p_id_prefix IS NOT NULL,
            'given devices, a prefix, or both'
        ),
        telemetry.require_value(
            'kind, device and prefix',
            v_for_devices OR (p_kind IS NULL AND cardinality(v_ids) = 0 AND p_id_prefix IS NULL),
            'left out for read and admin'
        );
    RETURN QUERY
    SELECT m.key_id, m.token, m.expires_at
    FROM telemetry.make_api_key(p_scope, p_kind, v_ids, p_id_prefix, p_expires_at, coalesce(p_note, '')) AS m;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.create_api_key (text, text, text [], text, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.create_api_key (text, text, text [], text, timestamptz, text) TO energy_dba;

COMMENT ON FUNCTION ops.create_api_key (text, text, text [], text, timestamptz, text) IS
'Makes an API key and returns its token, which is shown only once. Scope device takes a kind and one id; gateway ids, a prefix ('''' for every id) or both, and a kind unless both kinds are meant; read and admin take none of them. Raises IE004 for anything else, and if the device has two live keys';
