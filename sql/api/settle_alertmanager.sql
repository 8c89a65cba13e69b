-- Only an attempt that was accepted as a whole moves sent_at, so the next one sends again all that was not.

CREATE OR REPLACE FUNCTION api.settle_alertmanager(p_address text, p_error text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    UPDATE ops.alertmanager AS a
    SET
        due_at = now() + INTERVAL '30 seconds',
        sent_at = CASE WHEN p_error IS NULL THEN a.attempted_at ELSE a.sent_at END,
        last_error = left(p_error, 200)
    WHERE a.address = p_address;
$$;

REVOKE EXECUTE ON FUNCTION api.settle_alertmanager (text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.settle_alertmanager (text, text) TO energy_service;

COMMENT ON FUNCTION api.settle_alertmanager (text, text) IS
'Ends the lease of an Alertmanager: all was accepted (p_error NULL), or not. It is due again in 30 seconds';
