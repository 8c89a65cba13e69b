-- One service at a time sends to an Alertmanager. A first look without a lock spares the others a write. The lease waits for
-- the standbys, which then have the alerts that are sent.

CREATE OR REPLACE FUNCTION api.lease_alertmanager(p_address text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_sent_at timestamptz;
BEGIN
    PERFORM telemetry.require_value('address', coalesce(length(p_address) BETWEEN 1 AND 2048, FALSE), '1 to 2048 characters');
    IF EXISTS (SELECT FROM ops.alertmanager AS a WHERE a.address = p_address AND a.due_at > now()) THEN
        RETURN NULL;
    END IF;
    INSERT INTO ops.alertmanager AS a (address, due_at) VALUES (p_address, now() + INTERVAL '1 minute')
    ON CONFLICT (address) DO UPDATE SET attempted_at = now(), due_at = excluded.due_at WHERE a.due_at <= now()
    RETURNING a.sent_at INTO v_sent_at;
    IF NOT found THEN
        RETURN NULL;
    END IF;
    PERFORM api.await_standbys();
    RETURN greatest(v_sent_at - INTERVAL '15 minutes', now() - INTERVAL '3 days');
END;
$$;

REVOKE EXECUTE ON FUNCTION api.lease_alertmanager (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.lease_alertmanager (text) TO energy_service;

COMMENT ON FUNCTION api.lease_alertmanager (text) IS
'Leases the sending to an Alertmanager for a minute. Returns the time since which closed alerts are to be sent, which is 15 minutes before it last accepted any, at most 3 days ago; NULL if it is not due, or another service has the lease. The commit of a lease waits for the synchronous standbys. Raises IE004 for an invalid address';
