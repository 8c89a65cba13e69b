-- The first check of every query about the readings of one device.

CREATE OR REPLACE FUNCTION telemetry.require_device(p_kind text, p_device_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM telemetry.meter_current_status AS s WHERE p_kind = 'meter' AND s.meter_id = p_device_id
        UNION ALL
        SELECT FROM telemetry.vehicle_current_status AS s WHERE p_kind = 'vehicle' AND s.vehicle_id = p_device_id
    ) THEN
        RAISE EXCEPTION '% % has not sent a reading', p_kind, p_device_id
            USING ERRCODE = CASE p_kind WHEN 'meter' THEN 'IE002' ELSE 'IE001' END;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.require_device (text, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.require_device (text, text) IS
'Raises IE001 (vehicle) or IE002 (meter) for a device that has not sent a reading';
