-- Before a batch is stored: what comes after sees a measure outside its range as not measured.

CREATE OR REPLACE FUNCTION telemetry.ignore_vehicle_measures(p_readings api.vehicle_reading [])
RETURNS api.vehicle_reading []
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM unnest(p_readings) AS r
        WHERE telemetry.ignore_soc(r.soc) IS NOT NULL OR telemetry.ignore_battery_temp(r.battery_temp) IS NOT NULL
    ) THEN
        RETURN NULL;
    END IF;
    RETURN array_agg(
        ROW(
            r.vehicle_id, r.recorded_at,
            CASE WHEN telemetry.ignore_soc(r.soc) IS NULL THEN r.soc END,
            r.kwh_delivered_dc,
            CASE WHEN telemetry.ignore_battery_temp(r.battery_temp) IS NULL THEN r.battery_temp END,
            r.source
        )::api.vehicle_reading
        ORDER BY r.position
    )
    FROM unnest(p_readings) WITH ORDINALITY
        AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.ignore_vehicle_measures (api.vehicle_reading []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_vehicle_measures (api.vehicle_reading []) IS
'The readings with NULL for each measure that telemetry.ignore_measure ignores; NULL if there is none';
