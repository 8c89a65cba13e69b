-- The whole profile of a device: omitted settings return to their defaults. It applies to later readings; stored ones
-- keep their meaning.

CREATE OR REPLACE FUNCTION api.set_device_profile(
    p_kind text,
    p_device_id text,
    p_energy_kind text DEFAULT 'interval',
    p_register_max double precision DEFAULT NULL,
    p_max_kw double precision DEFAULT NULL,
    p_expected_interval_s double precision DEFAULT NULL,
    p_retired boolean DEFAULT FALSE
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_value('kind', coalesce(p_kind IN ('meter', 'vehicle'), FALSE), 'meter or vehicle'),
        telemetry.require_device_id(p_kind || 'Id', p_device_id),
        telemetry.require_value(
            'energyKind', coalesce(p_energy_kind IN ('interval', 'register'), FALSE), 'interval or register'
        ),
        telemetry.require_value(
            'registerMax', p_register_max > 0 AND p_register_max <= 1e7, 'more than 0 and at most 1e7 kWh'
        ),
        telemetry.require_value(
            'registerMax', p_register_max IS NULL OR p_energy_kind = 'register', 'left out where energyKind is interval'
        ),
        telemetry.require_value('maxKw', p_max_kw > 0 AND p_max_kw <= 1e6, 'more than 0 and at most 1e6 kW'),
        telemetry.require_value(
            'expectedIntervalS', p_expected_interval_s BETWEEN 1 AND 86400,
            'from 1 to 86400 seconds (a day)'
        );

    INSERT INTO telemetry.device_profile AS p
        (kind, device_id, energy_kind, register_max_kwh, max_kw, expected_interval, retired_at)
    VALUES (
        p_kind, p_device_id, p_energy_kind, p_register_max, p_max_kw, make_interval(secs => p_expected_interval_s),
        CASE WHEN p_retired THEN now() END
    )
    ON CONFLICT (kind, device_id) DO UPDATE SET
        energy_kind = excluded.energy_kind,
        register_max_kwh = excluded.register_max_kwh,
        max_kw = excluded.max_kw,
        expected_interval = excluded.expected_interval,
        retired_at = excluded.retired_at,
        set_at = excluded.set_at;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.set_device_profile (
    text, text, text, double precision, double precision, double precision, boolean
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.set_device_profile (
    text, text, text, double precision, double precision, double precision, boolean
) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.set_device_profile (
    text, text, text, double precision, double precision, double precision, boolean
) IS
'Sets the profile of a device (p_kind: meter or vehicle): p_energy_kind interval or register; p_register_max (kWh) at which its register starts again from 0; p_max_kw (kW), above twice of which a reading is rejected; p_expected_interval_s between two readings, seconds (NULL: as observed); p_retired, out of use until it reports again. Raises IE004 for invalid values';
