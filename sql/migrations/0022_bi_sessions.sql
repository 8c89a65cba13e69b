-- The limits of BI sessions, for the job that ends sessions beyond them, and settings of roles that keep locks short.

-- members of energy_bi can change both settings for themselves: ops.end_bi_sessions has limits that they cannot change
ALTER ROLE energy_bi SET idle_in_transaction_session_timeout = '1min';

-- Readings queue behind a job that waits for a table. It is longer than the default deadlock_timeout of 1 s, at which
-- PostgreSQL cancels an autovacuum that is in the way.
ALTER ROLE energy_owner SET lock_timeout = '1200ms';

SET LOCAL ROLE energy_owner;

CREATE TABLE ops.bi_session_limit (
    is_only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (is_only_row),
    transaction_for interval NOT NULL DEFAULT '10 minutes',
    idle_for interval NOT NULL DEFAULT '1 minute',
    blocking_for interval NOT NULL DEFAULT '3 seconds',
    ended bigint NOT NULL DEFAULT 0,
    last_ended_at timestamptz,
    last_ended text,
    CONSTRAINT transaction_for_is_longer_than_0 CHECK (transaction_for > INTERVAL '0'),
    CONSTRAINT idle_for_is_longer_than_0 CHECK (idle_for > INTERVAL '0'),
    CONSTRAINT blocking_for_is_longer_than_0 CHECK (blocking_for > INTERVAL '0')
);

COMMENT ON TABLE ops.bi_session_limit IS 'The limits of the sessions of BI logins, and how many ops.end_bi_sessions has ended: one row. Change a limit with UPDATE; the next run of the job follows it';
COMMENT ON COLUMN ops.bi_session_limit.is_only_row IS 'Always true';
COMMENT ON COLUMN ops.bi_session_limit.transaction_for IS 'Longest transaction, whatever it does';
COMMENT ON COLUMN ops.bi_session_limit.idle_for IS 'Longest time without a statement inside of a transaction';
COMMENT ON COLUMN ops.bi_session_limit.blocking_for IS 'Longest time for which a session that is not one of BI may wait for a lock of a BI session';
COMMENT ON COLUMN ops.bi_session_limit.ended IS 'Number of sessions that were ended';
COMMENT ON COLUMN ops.bi_session_limit.last_ended_at IS 'Time at which the last one was ended; NULL for none yet';
COMMENT ON COLUMN ops.bi_session_limit.last_ended IS 'Process, login and reason of the last one; NULL for none yet';

INSERT INTO ops.bi_session_limit DEFAULT VALUES;

GRANT SELECT, UPDATE (transaction_for, idle_for, blocking_for) ON ops.bi_session_limit TO energy_dba;
