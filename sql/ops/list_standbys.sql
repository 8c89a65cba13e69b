-- pg_stat_replication lists whatever receives write-ahead log: backups and logical subscribers, too, which no failover
-- promotes. Behind is what a standby has not flushed, in bytes: PostgreSQL's own lag in seconds stands still while a
-- standby does not answer.

CREATE OR REPLACE FUNCTION ops.list_standbys() RETURNS TABLE (
    name text, state text, is_synchronous boolean, bytes_behind bigint
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        r.application_name, r.state, r.sync_state IN ('sync', 'quorum'),
        pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, r.flush_lsn
        )::bigint
    FROM pg_stat_replication AS r
    WHERE
        r.state IS DISTINCT FROM 'backup'
        AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
    ORDER BY r.application_name, r.pid;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_standbys () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_standbys () TO energy_dba;

COMMENT ON FUNCTION ops.list_standbys () IS
'The standbys that receive from this server: application_name, state of PostgreSQL, whether commits wait for it, and the bytes of write-ahead log that it has not flushed. All but the number of rows is NULL if energy_owner is not a member of pg_read_all_stats';
