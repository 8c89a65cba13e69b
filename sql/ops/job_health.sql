-- For the eye: whether the jobs work.

CREATE OR REPLACE VIEW ops.job_health AS
SELECT
    j.job_id, j.purpose, j.object, j.duty, j.schedule_interval, j.last_started_at, j.last_duration, j.next_start,
    j.failures, j.last_error, j.overdue, j.health
FROM ops.list_job_health() AS j;

GRANT SELECT ON ops.job_health TO energy_dba;

COMMENT ON VIEW ops.job_health IS 'Every job of the engine, what it is for, and whether it works';
COMMENT ON COLUMN ops.job_health.job_id IS 'TimescaleDB''s number of the job, for run_job and alter_job';
COMMENT ON COLUMN ops.job_health.purpose IS 'What it is for';
COMMENT ON COLUMN ops.job_health.object IS 'The object of ops.policy it works on; a refresh begins with it and goes on to the hours and days made of it';
COMMENT ON COLUMN ops.job_health.duty IS 'compress, drop or refresh';
COMMENT ON COLUMN ops.job_health.schedule_interval IS 'How often it runs';
COMMENT ON COLUMN ops.job_health.last_started_at IS 'When it last ran; NULL where it has not yet';
COMMENT ON COLUMN ops.job_health.last_duration IS 'How long that took';
COMMENT ON COLUMN ops.job_health.next_start IS 'When it should run next; NULL where that is not planned';
COMMENT ON COLUMN ops.job_health.failures IS 'Runs that failed';
COMMENT ON COLUMN ops.job_health.last_error IS 'Why the last run failed; NULL where it did not';
COMMENT ON COLUMN ops.job_health.overdue IS 'How long ago it should have run, a turn (at least 10 minutes) granted';
COMMENT ON COLUMN ops.job_health.health IS 'ok; late: it does not run; failing: its last run failed; paused: somebody has switched it off with alter_job';
