-- A lock timeout does not say whose lock it was. Short transactions are left out: the next try finds them gone.

CREATE OR REPLACE FUNCTION ops.describe_lock_holders() RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT string_agg(
        format(
            'process %s of %s (%s, in a transaction for %s s)',
            a.pid, coalesce(a.usename, a.backend_type), coalesce(a.state, 'active'),
            round(extract(EPOCH FROM clock_timestamp() - a.xact_start))
        ), ', ' ORDER BY a.xact_start
    )
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.leader_pid IS NULL AND a.pid <> pg_backend_pid()
        AND a.xact_start < clock_timestamp() - INTERVAL '1 second'
        AND EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.granted AND l.relation >= 16384);
$$;

REVOKE EXECUTE ON FUNCTION ops.describe_lock_holders () FROM PUBLIC;

COMMENT ON FUNCTION ops.describe_lock_holders () IS
'The other sessions of this database that have held a lock on a table or view for at least a second, as a sentence part; NULL without any';
