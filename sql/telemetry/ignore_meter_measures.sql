-- Before a batch is stored: what comes after sees a measure outside its range as not measured.

CREATE OR REPLACE FUNCTION telemetry.ignore_meter_measures(p_readings api.meter_reading [])
RETURNS api.meter_reading []
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM unnest(p_readings) AS r
        WHERE telemetry.ignore_voltage(r.voltage) IS NOT NULL
    ) THEN
        RETURN NULL;
    END IF;
    RETURN array_agg(
        ROW(
            r.meter_id, r.recorded_at,
            r.kwh_consumed_ac,
            CASE WHEN telemetry.ignore_voltage(r.voltage) IS NULL THEN r.voltage END,
            r.source
        )::api.meter_reading
        ORDER BY r.position
    )
    FROM unnest(p_readings) WITH ORDINALITY
        AS r (meter_id, recorded_at, kwh_consumed_ac, voltage, source, position);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.ignore_meter_measures (api.meter_reading []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_meter_measures (api.meter_reading []) IS
'The readings with NULL for each measure that telemetry.ignore_measure ignores; NULL if there is none';
