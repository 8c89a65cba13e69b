-- closed_at is a time of the data. Alertmanager is told of a closed alert for a while after the service has learnt of it.

CREATE OR REPLACE FUNCTION telemetry.note_alert_close() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    NEW.close_noted_at := CASE WHEN NEW.closed_at IS NOT NULL THEN now() END;
    RETURN NEW;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_alert_close () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_alert_close () IS
'Trigger of telemetry.alert: keeps the server''s time at which an alert is closed';
