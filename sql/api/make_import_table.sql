-- COPY needs a table, and the service may write to none. So the session gets a temporary one of energy_owner, with the
-- right to insert only. It is emptied at the end of each transaction.

CREATE OR REPLACE FUNCTION api.make_import_table(p_kind text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
    IF p_kind = 'meter' THEN
        DROP TABLE IF EXISTS pg_temp.import_meter_reading;
        CREATE TEMPORARY TABLE import_meter_reading (
            place integer NOT NULL,
            meter_id text COLLATE "C" NOT NULL,
            recorded_at timestamptz NOT NULL,
            kwh_consumed_ac double precision NOT NULL,
            voltage double precision
        ) ON COMMIT DELETE ROWS;
        GRANT INSERT ON pg_temp.import_meter_reading TO energy_service;
    ELSE
        DROP TABLE IF EXISTS pg_temp.import_vehicle_reading;
        CREATE TEMPORARY TABLE import_vehicle_reading (
            place integer NOT NULL,
            vehicle_id text COLLATE "C" NOT NULL,
            recorded_at timestamptz NOT NULL,
            soc double precision,
            kwh_delivered_dc double precision NOT NULL,
            battery_temp double precision
        ) ON COMMIT DELETE ROWS;
        GRANT INSERT ON pg_temp.import_vehicle_reading TO energy_service;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.make_import_table (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.make_import_table (text) TO energy_service;

COMMENT ON FUNCTION api.make_import_table (text) IS
'Creates the temporary table import_meter_reading or import_vehicle_reading of this session. The service copies rows into it, and an import function stores them';
