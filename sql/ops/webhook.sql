-- The webhooks without their secrets, and the state of their outbox.

CREATE OR REPLACE VIEW ops.webhook AS
SELECT
    w.name, w.url, w.severities, w.is_enabled, w.created_at, w.created_by,
    m.pending, m.oldest_pending_at, m.given_up, m.last_error
FROM telemetry.webhook AS w
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE q.given_up_at IS NULL) AS pending,
        min(q.created_at) FILTER (WHERE q.given_up_at IS NULL) AS oldest_pending_at,
        count(*) FILTER (WHERE q.given_up_at IS NOT NULL) AS given_up,
        (array_agg(q.last_error ORDER BY q.message_id DESC) FILTER (WHERE q.last_error IS NOT NULL))[1] AS last_error
    FROM ops.webhook_message AS q
    WHERE q.webhook_name = w.name
) AS m;

GRANT SELECT ON ops.webhook TO energy_dba;

COMMENT ON VIEW ops.webhook IS 'The webhooks, without their secrets; ops.set_webhook and ops.remove_webhook change them';
COMMENT ON COLUMN ops.webhook.name IS 'Name of the webhook';
COMMENT ON COLUMN ops.webhook.url IS 'Messages are posted to this URL';
COMMENT ON COLUMN ops.webhook.severities IS 'Severities that it gets; NULL for all';
COMMENT ON COLUMN ops.webhook.is_enabled IS 'False: nothing is queued or sent';
COMMENT ON COLUMN ops.webhook.created_at IS 'Time of its creation';
COMMENT ON COLUMN ops.webhook.created_by IS 'Login of its creator';
COMMENT ON COLUMN ops.webhook.pending IS 'Number of its messages that are not delivered yet';
COMMENT ON COLUMN ops.webhook.oldest_pending_at IS 'Time of the event of the oldest of them; NULL for none';
COMMENT ON COLUMN ops.webhook.given_up IS 'Number of its messages that were given up in the last 30 days';
COMMENT ON COLUMN ops.webhook.last_error IS 'Result of the last attempt of its newest message that failed; NULL for none';
