-- The most frequent query of dashboards: one primary-key read, whatever the length of the history.

CREATE OR REPLACE FUNCTION api.get_meter_status(p_meter_id text)
RETURNS TABLE (
    meter_id text,
    recorded_at timestamptz,
    received_at timestamptz,
    kwh_consumed_ac double precision,
    voltage double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.meter_id, s.recorded_at, s.received_at, s.kwh_consumed_ac, s.voltage
    FROM telemetry.meter_current_status AS s
    WHERE s.meter_id = p_meter_id;

    IF NOT found THEN
        RAISE EXCEPTION 'meter % has not sent a reading', p_meter_id USING ERRCODE = 'IE002';
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_meter_status (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_meter_status (text) TO energy_service;

COMMENT ON FUNCTION api.get_meter_status (text) IS
'The newest reading of a meter: its own time and the server''s, energy of its last interval (kWh), voltage (V). Raises IE002 for an unknown meter';
