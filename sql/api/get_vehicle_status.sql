-- The vehicle's row, and the row of the meter that feeds it now: two primary-key reads and the link.

CREATE OR REPLACE FUNCTION api.get_vehicle_status(p_vehicle_id text)
RETURNS TABLE (
    vehicle_id text,
    recorded_at timestamptz,
    received_at timestamptz,
    soc double precision,
    kwh_delivered_dc double precision,
    battery_temp double precision,
    charging boolean,
    meter_id text,
    meter_recorded_at timestamptz,
    meter_voltage double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        v.vehicle_id, v.recorded_at, v.received_at, v.soc, v.kwh_delivered_dc, v.battery_temp,
        v.kwh_delivered_dc > 0,
        link.meter_id, m.recorded_at, m.voltage
    FROM telemetry.vehicle_current_status AS v
    LEFT JOIN telemetry.meter_segments(p_vehicle_id, now(), now() + INTERVAL '1 microsecond') AS link ON TRUE
    LEFT JOIN telemetry.meter_current_status AS m ON link.meter_id = m.meter_id
    WHERE v.vehicle_id = p_vehicle_id;

    IF NOT found THEN
        RAISE EXCEPTION 'vehicle % has not sent a reading', p_vehicle_id USING ERRCODE = 'IE001';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_vehicle_status (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_vehicle_status (text) TO energy_service;

COMMENT ON FUNCTION api.get_vehicle_status (text) IS
'The newest reading of a vehicle: its own time and the server''s, state of charge (%), energy of its last interval (kWh), battery temperature (degrees Celsius), charging (true if energy flowed in that interval), and the meter that feeds it now with that meter''s newest time and voltage (V), NULL without one. Raises IE001 for an unknown vehicle';
