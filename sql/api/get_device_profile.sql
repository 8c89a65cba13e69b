-- A device without a declared profile has the default one: interval energy, at the observed interval.

CREATE OR REPLACE FUNCTION api.get_device_profile(p_kind text, p_device_id text)
RETURNS TABLE (
    device_id text,
    energy_kind text,
    register_max double precision,
    max_kw double precision,
    expected_interval_s double precision,
    observed_interval_s double precision,
    retired boolean,
    set_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        p_device_id, coalesce(p.energy_kind, 'interval'), p.register_max_kwh, p.max_kw,
        extract(EPOCH FROM p.expected_interval)::double precision,
        extract(EPOCH FROM known.observed_interval)::double precision,
        coalesce(p.retired_at >= coalesce(known.received_at, '-infinity'), FALSE), p.set_at
    FROM (
        SELECT s.received_at, s.observed_interval FROM telemetry.meter_current_status AS s WHERE p_kind = 'meter' AND s.meter_id = p_device_id
        UNION ALL
        SELECT s.received_at, s.observed_interval FROM telemetry.vehicle_current_status AS s WHERE p_kind = 'vehicle' AND s.vehicle_id = p_device_id
    ) AS known
    FULL JOIN (
        SELECT * FROM telemetry.device_profile AS p WHERE p.kind = p_kind AND p.device_id = p_device_id
    ) AS p ON TRUE;

    IF NOT found THEN
        RAISE EXCEPTION '% % has neither sent a reading nor been given a profile', p_kind, p_device_id
            USING ERRCODE = CASE p_kind WHEN 'meter' THEN 'IE002' ELSE 'IE001' END;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_device_profile (text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_device_profile (text, text) TO energy_service;

COMMENT ON FUNCTION api.get_device_profile (text, text) IS
'The profile of a device (p_kind: meter or vehicle): energy_kind (interval, register), register_max (kWh), max_kw (kW), expected_interval_s (seconds; NULL: as observed), observed_interval_s (seconds; NULL before the second reading), retired (true until its next reading), and set_at, NULL for an undeclared profile. Raises IE001 (vehicle) or IE002 (meter) for an unknown device';
