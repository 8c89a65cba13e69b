-- The health of the jobs, for people.

CREATE OR REPLACE VIEW ops.job_health AS
SELECT
    j.job_id, j.purpose, j.object, j.duty, j.schedule_interval, j.last_started_at, j.last_duration, j.next_start,
    j.failures, j.last_error, j.overdue, j.health
FROM ops.list_job_health() AS j;

GRANT SELECT ON ops.job_health TO energy_dba;

COMMENT ON VIEW ops.job_health IS 'Every job of the engine, with its purpose and its health';
COMMENT ON COLUMN ops.job_health.job_id IS 'TimescaleDB''s number of the job, for run_job and alter_job';
COMMENT ON COLUMN ops.job_health.purpose IS 'Its purpose';
COMMENT ON COLUMN ops.job_health.object IS 'Its object of ops.policy; a refresh begins with it and continues with its hours and days; bi for the watch over BI sessions';
COMMENT ON COLUMN ops.job_health.duty IS 'compress, drop, evaluate, refresh or watch';
COMMENT ON COLUMN ops.job_health.schedule_interval IS 'Its interval';
COMMENT ON COLUMN ops.job_health.last_started_at IS 'Start of the last run; NULL before the first';
COMMENT ON COLUMN ops.job_health.last_duration IS 'Duration of the last run';
COMMENT ON COLUMN ops.job_health.next_start IS 'Time of the next run; NULL if none is planned';
COMMENT ON COLUMN ops.job_health.failures IS 'Runs that failed';
COMMENT ON COLUMN ops.job_health.last_error IS 'Error of the last run; NULL without';
COMMENT ON COLUMN ops.job_health.overdue IS 'Time since the missed run, after a tolerance of one turn (at least 10 minutes)';
COMMENT ON COLUMN ops.job_health.health IS 'ok; stuck: it has no next run, after a failover; late: it does not run; failing: its last run failed; paused: switched off with alter_job';
