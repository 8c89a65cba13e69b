-- A lease instead of a transaction that stays open while the receiver answers. At most 5 messages of a webhook are under
-- way, so a slow receiver keeps no other waiting. A message waits for the earlier ones of its alert. Nobody is told of a
-- change that a failover may take back: the lease waits for the standbys, which then have the change as well.

CREATE OR REPLACE FUNCTION api.lease_webhook_messages() RETURNS TABLE (
    message_id bigint, attempts bigint, webhook_name text, url text, secret text, webhook_id text, event text,
    created_at timestamptz, alert jsonb
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    DELETE FROM ops.webhook_message AS q WHERE q.given_up_at < now() - INTERVAL '30 days';
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT d.message_id, w.url, w.secret
        FROM telemetry.webhook AS w
        CROSS JOIN LATERAL (
            SELECT q.message_id
            FROM ops.webhook_message AS q
            WHERE
                q.webhook_name = w.name AND q.given_up_at IS NULL AND q.due_at <= now()
                AND (q.leased_until IS NULL OR q.leased_until <= now())
                AND NOT EXISTS (
                    SELECT FROM ops.webhook_message AS e
                    WHERE
                        e.webhook_name = q.webhook_name AND e.alert_id = q.alert_id AND e.message_id < q.message_id
                        AND e.given_up_at IS NULL
                )
            ORDER BY q.due_at, q.message_id
            LIMIT greatest(0, 5 - (
                SELECT count(*) FROM ops.webhook_message AS u
                WHERE u.webhook_name = w.name AND u.leased_until > now()
            ))
            FOR UPDATE SKIP LOCKED
        ) AS d
        WHERE w.is_enabled
    )
    UPDATE ops.webhook_message AS q
    SET attempts = q.attempts + 1, leased_until = now() + INTERVAL '1 minute'
    FROM due AS d
    WHERE q.message_id = d.message_id
    RETURNING
        q.message_id, q.attempts, q.webhook_name, d.url, d.secret, q.webhook_id, q.event, q.created_at, q.alert;
    IF found THEN
        PERFORM api.await_standbys();
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.lease_webhook_messages () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.lease_webhook_messages () TO energy_service;

COMMENT ON FUNCTION api.lease_webhook_messages () IS
'Leases due messages of the enabled webhooks for a minute, at most 5 of each, and returns them with the URL and the secret to sign with. The caller sends them, and calls api.settle_webhook_message; without that they are due again after the lease. If there are any, the commit waits for the synchronous standbys';
