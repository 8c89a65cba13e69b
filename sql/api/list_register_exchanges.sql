-- All of them: a device has few. An unknown device raises, as its profile does.

CREATE OR REPLACE FUNCTION api.list_register_exchanges(p_kind text, p_device_id text)
RETURNS TABLE (
    at timestamptz,
    last_register double precision,
    first_register double precision,
    declared_at timestamptz,
    declared_by text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.get_device_profile(p_kind, p_device_id);
    RETURN QUERY
    SELECT x.exchanged_at, x.last_register_kwh, x.first_register_kwh, x.declared_at, x.declared_by
    FROM telemetry.register_exchange AS x
    WHERE x.kind = p_kind AND x.device_id = p_device_id
    ORDER BY x.exchanged_at DESC;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.list_register_exchanges (text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_register_exchanges (text, text) TO energy_service;

COMMENT ON FUNCTION api.list_register_exchanges (text, text) IS
'The exchanges of a device''s register (p_kind: meter or vehicle), newest first: the time, the last register of the old one and the first of the new one (kWh), when it was declared, and by whom. Raises IE001 (vehicle) or IE002 (meter) for an unknown device';
