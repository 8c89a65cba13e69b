-- A failure counts only for the newest attempt: an earlier one may have outlived its lease. Jitter keeps the messages
-- that failed together from being sent together again.

CREATE OR REPLACE FUNCTION api.settle_webhook_message(p_message_id bigint, p_attempt bigint, p_error text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF p_error IS NULL THEN
        DELETE FROM ops.webhook_message AS q WHERE q.message_id = p_message_id;
        RETURN;
    END IF;
    UPDATE ops.webhook_message AS q
    SET
        leased_until = NULL,
        last_error = left(p_error, 200),
        due_at = now()
            + least(INTERVAL '5 seconds' * 2 ^ least(q.attempts - 1, 20), INTERVAL '1 hour') * (0.5 + random() / 2),
        given_up_at = CASE WHEN now() >= q.created_at + INTERVAL '3 days' THEN now() END
    WHERE q.message_id = p_message_id AND q.attempts = p_attempt AND q.leased_until IS NOT NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.settle_webhook_message (bigint, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.settle_webhook_message (bigint, bigint, text) TO energy_service;

COMMENT ON FUNCTION api.settle_webhook_message (bigint, bigint, text) IS
'Ends the lease of a message: delivered (p_error NULL, it is deleted), or failed. After failed attempt n it is due again in 5 s x 2^(n-1), at most an hour, of which up to half is taken off at random; 3 days after the event it is given up';
