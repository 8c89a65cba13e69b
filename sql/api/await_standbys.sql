-- An acknowledgement outlives a failover only if its commit has waited for the disk and for the synchronous standbys.
-- PostgreSQL lets no commit wait that has written nothing. So a retry could be told "stored before" about a commit that
-- is on no standby yet: one whose own wait was cancelled. The message makes such a commit wait, too. The setting holds
-- until the end of the transaction, so it does not depend on the session, which a pooler may exchange. An operator's
-- remote_apply stays. As the owner, because other logins may emit no message: it would let them fill the disk.

CREATE OR REPLACE FUNCTION api.await_standbys() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        -- as any other write would; the message alone has another error on a standby, and none in a read-only session
        RAISE EXCEPTION 'the server takes no writes: it is a standby, or read-only'
            USING ERRCODE = 'read_only_sql_transaction';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', TRUE);
    END IF;
    PERFORM pg_logical_emit_message(TRUE, 'energy', '');
END;
$$;

REVOKE EXECUTE ON FUNCTION api.await_standbys () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.await_standbys () TO energy_service, energy_dba;

COMMENT ON FUNCTION api.await_standbys () IS
'Makes the commit of this transaction wait for the disk and for the synchronous standbys, even if it writes nothing else. Every function that stores, or answers that something is stored, calls it. Raises 25006 on a server that takes no writes';
