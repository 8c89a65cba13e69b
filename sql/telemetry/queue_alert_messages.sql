-- The message is part of the transaction that changes the alert, so neither can be lost without the other.

CREATE OR REPLACE FUNCTION telemetry.queue_alert_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    INSERT INTO ops.webhook_message (webhook_name, alert_id, event, alert)
    SELECT
        w.name,
        NEW.id,
        CASE
            WHEN TG_OP = 'INSERT' OR (OLD.closed_at IS NOT NULL AND NEW.closed_at IS NULL) THEN 'opened'
            WHEN OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL THEN 'closed'
            ELSE 'acknowledged'
        END,
        to_jsonb(NEW)
    FROM telemetry.webhook AS w
    WHERE w.is_enabled AND (w.severities IS NULL OR NEW.severity = ANY (w.severities));
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.queue_alert_messages () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.queue_alert_messages () IS
'Trigger of telemetry.alert: queues a message for each enabled webhook when an alert is opened, also again, acknowledged or closed';
