-- Delivery of alerts: the webhooks, their outbox, and what each Alertmanager was last sent.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.webhook (
    name text COLLATE "C" PRIMARY KEY,
    url text NOT NULL,
    secret text NOT NULL,
    severities text [],
    is_enabled boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user
);

COMMENT ON TABLE telemetry.webhook IS 'Receivers of alerts over HTTP. ops.set_webhook and ops.remove_webhook change it, ops.webhook shows it without the secrets';
COMMENT ON COLUMN telemetry.webhook.name IS 'Name of the webhook';
COMMENT ON COLUMN telemetry.webhook.url IS 'Messages are posted to this URL';
COMMENT ON COLUMN telemetry.webhook.secret IS 'Secret of the signatures, whsec_ and base64. It is stored as it is, because signing needs it';
COMMENT ON COLUMN telemetry.webhook.severities IS 'Severities that it gets; NULL for all';
COMMENT ON COLUMN telemetry.webhook.is_enabled IS 'False: nothing is queued or sent';
COMMENT ON COLUMN telemetry.webhook.created_at IS 'Time of its creation';
COMMENT ON COLUMN telemetry.webhook.created_by IS 'Login of its creator';

CREATE TABLE ops.webhook_message (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_name text COLLATE "C" NOT NULL REFERENCES telemetry.webhook ON DELETE CASCADE,
    webhook_id text NOT NULL DEFAULT 'msg_' || replace(gen_random_uuid()::pg_catalog.text, '-', ''),
    alert_id bigint NOT NULL,
    event text NOT NULL CHECK (event IN ('opened', 'acknowledged', 'closed')),
    alert jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    last_error text,
    given_up_at timestamptz
);

CREATE INDEX due_message ON ops.webhook_message (webhook_name, due_at) WHERE given_up_at IS NULL;
CREATE INDEX pending_message_of_an_alert ON ops.webhook_message (webhook_name, alert_id, message_id) WHERE given_up_at IS NULL;
CREATE INDEX leased_message ON ops.webhook_message (webhook_name) WHERE leased_until IS NOT NULL;
CREATE INDEX given_up_message ON ops.webhook_message (given_up_at) WHERE given_up_at IS NOT NULL;

COMMENT ON TABLE ops.webhook_message IS 'The outbox of the webhooks: messages that are pending, and those that were given up in the last 30 days. A delivered one is deleted';
COMMENT ON COLUMN ops.webhook_message.message_id IS 'Number of the message';
COMMENT ON COLUMN ops.webhook_message.webhook_name IS 'Its webhook';
COMMENT ON COLUMN ops.webhook_message.webhook_id IS 'The header webhook-id, the same at every attempt';
COMMENT ON COLUMN ops.webhook_message.alert_id IS 'Number of the alert';
COMMENT ON COLUMN ops.webhook_message.event IS 'opened, acknowledged or closed';
COMMENT ON COLUMN ops.webhook_message.alert IS 'The alert as it was then: a row of telemetry.alert';
COMMENT ON COLUMN ops.webhook_message.created_at IS 'The server''s time of the event';
COMMENT ON COLUMN ops.webhook_message.attempts IS 'Number of attempts to send it';
COMMENT ON COLUMN ops.webhook_message.due_at IS 'Time of the next attempt';
COMMENT ON COLUMN ops.webhook_message.leased_until IS 'A service is sending it until then; NULL if none is';
COMMENT ON COLUMN ops.webhook_message.last_error IS 'Result of the last attempt that failed';
COMMENT ON COLUMN ops.webhook_message.given_up_at IS 'Time at which it was given up, 3 days after the event; NULL while it is pending';

CREATE TABLE ops.alertmanager (
    address text COLLATE "C" PRIMARY KEY,
    attempted_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    last_error text
);

COMMENT ON TABLE ops.alertmanager IS 'The Alertmanagers that services send the alerts to (ENERGY_ALERTMANAGER_URL)';
COMMENT ON COLUMN ops.alertmanager.address IS 'Its URL, without user and password';
COMMENT ON COLUMN ops.alertmanager.attempted_at IS 'Time of the last attempt';
COMMENT ON COLUMN ops.alertmanager.due_at IS 'Time of the next attempt';
COMMENT ON COLUMN ops.alertmanager.sent_at IS 'Beginning of the last attempt that it accepted; at first the time of the first attempt';
COMMENT ON COLUMN ops.alertmanager.last_error IS 'Result of the last attempt, if it failed';

GRANT SELECT ON ops.webhook_message, ops.alertmanager TO energy_dba;

ALTER TABLE telemetry.alert ADD COLUMN close_noted_at timestamptz;

COMMENT ON COLUMN telemetry.alert.close_noted_at IS 'The server''s time at which an open alert was closed; NULL while it is open, and if it was over when it was found';

-- the table is one migration old
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX alert_by_close ON telemetry.alert (close_noted_at) WHERE close_noted_at IS NOT NULL;

-- the triggers need their functions to be there; the code of this version replaces the bodies
CREATE FUNCTION telemetry.note_alert_close() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NEW;
END;
$$;

CREATE FUNCTION telemetry.queue_alert_messages() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_alert_close (), telemetry.queue_alert_messages () FROM PUBLIC;

CREATE TRIGGER note_close BEFORE UPDATE ON telemetry.alert FOR EACH ROW
WHEN ((old.closed_at IS NULL) <> (new.closed_at IS NULL))
EXECUTE FUNCTION telemetry.note_alert_close();

-- an alert that was over when it was found is no news
CREATE TRIGGER queue_opened AFTER INSERT ON telemetry.alert FOR EACH ROW
WHEN (new.closed_at IS NULL)
EXECUTE FUNCTION telemetry.queue_alert_messages();

CREATE TRIGGER queue_changed AFTER UPDATE ON telemetry.alert FOR EACH ROW
WHEN (
    (old.closed_at IS NULL) <> (new.closed_at IS NULL)
    OR (old.acknowledged_at IS NULL AND new.acknowledged_at IS NOT NULL)
)
EXECUTE FUNCTION telemetry.queue_alert_messages();
