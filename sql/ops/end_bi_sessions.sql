-- A login can set its own time-outs to 0, so the limits of BI sessions are rows that it cannot change. A lock_timeout
-- ends every wait of the engine's DDL after a moment. So `energy migrate`, kept from its locks several times, names
-- lock_holders: then every BI session with a lock counts as blocking. pg_blocking_pids halts the lock manager for a
-- moment, so it is called for waiting sessions only.

CREATE OR REPLACE FUNCTION ops.end_bi_sessions(p_job_id integer DEFAULT NULL, p_config jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_limit ops.bi_session_limit;
    v_now CONSTANT timestamptz := clock_timestamp();
    v_session record;
    v_ended text;
BEGIN
    SELECT l.* INTO STRICT v_limit FROM ops.bi_session_limit AS l;
    FOR v_session IN
        SELECT s.pid, s.usename, r.reason
        FROM (
            SELECT a.*
            FROM pg_stat_activity AS a
            WHERE a.datname = current_database() AND a.leader_pid IS NULL AND a.pid <> pg_backend_pid()
                AND ops.is_bi_login(a.usesysid)
        ) AS s
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN s.state LIKE 'idle in transaction%' AND s.state_change < v_now - v_limit.idle_for
                    THEN format('idle in a transaction for more than %s', v_limit.idle_for)
                WHEN s.xact_start < v_now - v_limit.transaction_for
                    THEN format('a transaction of more than %s', v_limit.transaction_for)
                WHEN s.pid IN (
                    SELECT unnest(pg_blocking_pids(w.pid))
                    FROM pg_locks AS w
                    LEFT JOIN pg_stat_activity AS a ON a.pid = w.pid
                    WHERE NOT w.granted AND w.waitstart < v_now - v_limit.blocking_for
                        AND NOT ops.is_bi_login(a.usesysid)
                ) THEN format('another session waited for more than %s', v_limit.blocking_for)
                WHEN (p_config ->> 'lock_holders')::boolean
                    AND s.xact_start < v_now - v_limit.blocking_for
                    AND EXISTS (
                        SELECT FROM pg_locks AS h WHERE h.pid = s.pid AND h.granted AND h.relation >= 16384
                    ) THEN 'a migration waited for its locks'
            END AS reason
        ) AS r
        WHERE r.reason IS NOT NULL
    LOOP
        CONTINUE WHEN NOT pg_terminate_backend(v_session.pid); -- it has ended by itself
        v_ended := format('process %s of %s: %s', v_session.pid, v_session.usename, v_session.reason);
        RAISE LOG 'ended a session of BI, %', v_ended;
        UPDATE ops.bi_session_limit SET ended = ended + 1, last_ended_at = v_now, last_ended = v_ended;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.end_bi_sessions (integer, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.end_bi_sessions (integer, jsonb) TO energy_dba;

COMMENT ON FUNCTION ops.end_bi_sessions (integer, jsonb) IS
'Ends the sessions of BI logins in this database that are beyond a limit of ops.bi_session_limit; with lock_holders of p_config true, also those with a transaction longer than blocking_for and a lock on a table. It runs as a job, and p_job_id is ignored. Raises insufficient_privilege if energy_owner may not end them';
