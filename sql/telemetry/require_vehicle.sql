-- The first check of every query about one vehicle.

CREATE OR REPLACE FUNCTION telemetry.require_vehicle(p_vehicle_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM telemetry.vehicle_current_status AS s WHERE s.vehicle_id = p_vehicle_id)
        AND NOT EXISTS (SELECT FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = p_vehicle_id)
    THEN
        RAISE EXCEPTION 'vehicle % has neither sent a reading nor been linked to a meter', p_vehicle_id
            USING ERRCODE = 'IE001';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.require_vehicle (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.require_vehicle (text) IS
'Raises IE001 for a vehicle that has neither sent a reading nor been linked to a meter';
