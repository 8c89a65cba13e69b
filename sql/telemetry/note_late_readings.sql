-- ops.evaluate_alerts judges a quarter hour 2 minutes after its end. A reading that is stored later than 1 minute after it
-- may have come too late for that, however long its transaction takes. Older readings than those of a week change no alerts.

CREATE OR REPLACE FUNCTION telemetry.note_late_readings() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_from CONSTANT timestamptz := now() - telemetry.alert_horizon();
    v_until CONSTANT timestamptz := telemetry.quarter_of(now() - INTERVAL '1 minute');
BEGIN
    IF tg_argv[0] = 'meter' THEN
        INSERT INTO telemetry.alert_recheck (kind, device_id, since)
        SELECT 'meter', r.meter_id, min(r.counted_at)
        FROM reading AS r
        WHERE r.counted_at >= v_from AND r.counted_at < v_until
        GROUP BY r.meter_id;
    ELSE
        INSERT INTO telemetry.alert_recheck (kind, device_id, since)
        SELECT 'vehicle', r.vehicle_id, min(r.counted_at)
        FROM reading AS r
        WHERE r.counted_at >= v_from AND r.counted_at < v_until
        GROUP BY r.vehicle_id;
    END IF;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_late_readings () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_late_readings () IS
'Trigger of the histories: notes devices with readings of times that may have been judged, in telemetry.alert_recheck';
