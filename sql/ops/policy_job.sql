-- TimescaleDB's records of the engine's jobs, by the object (row) and the duty (column) of ops.policy.
-- The watch over the sessions of BI has schema bi for its object.

CREATE OR REPLACE VIEW ops.policy_job AS
SELECT
    j.job_id,
    j.object,
    CASE
        WHEN j.proc_name IN ('policy_compression', 'compress_due_chunks') THEN 'compress'
        WHEN j.proc_name IN ('drop_due_chunks', 'drop_closed_alerts') THEN 'drop'
        WHEN j.proc_name = 'end_bi_sessions' THEN 'watch'
        WHEN j.proc_name = 'run_alert_evaluation' THEN 'evaluate'
        ELSE 'refresh'
    END AS duty,
    j.proc_name::text AS procedure,
    j.schedule_interval,
    j.config,
    j.scheduled AS is_scheduled,
    j.next_start
FROM (
    SELECT i.*, coalesce(i.config ->> 'object', i.hypertable_schema || '.' || i.hypertable_name) AS object
    FROM timescaledb_information.jobs AS i
    WHERE
        i.owner::text = 'energy_owner' -- a job of any other login only has the name of one of these
        AND (
            (
                i.proc_schema = 'ops'
                AND i.proc_name IN (
                    'refresh_aggregates', 'compress_due_chunks', 'drop_due_chunks', 'drop_closed_alerts', 'end_bi_sessions',
                    'run_alert_evaluation'
                )
            )
            OR (i.proc_schema = '_timescaledb_functions' AND i.proc_name = 'policy_compression')
        )
) AS j
WHERE j.object LIKE 'telemetry.%' OR j.object LIKE 'bi.%' OR j.object = 'bi';

GRANT SELECT ON ops.policy_job TO energy_dba;

COMMENT ON VIEW ops.policy_job IS 'The jobs of the engine: those of energy_owner, whatever others are called';
COMMENT ON COLUMN ops.policy_job.job_id IS 'TimescaleDB''s number of the job, for run_job and alter_job';
COMMENT ON COLUMN ops.policy_job.object IS 'Its object of ops.policy; a refresh begins with it and continues with its hours and days; bi for the watch over BI sessions';
COMMENT ON COLUMN ops.policy_job.duty IS 'compress, drop, evaluate, refresh or watch';
COMMENT ON COLUMN ops.policy_job.procedure IS 'The procedure that it calls';
COMMENT ON COLUMN ops.policy_job.schedule_interval IS 'Its interval';
COMMENT ON COLUMN ops.policy_job.config IS 'Its configuration';
COMMENT ON COLUMN ops.policy_job.is_scheduled IS 'True if it is scheduled';
COMMENT ON COLUMN ops.policy_job.next_start IS 'Time of the next run by TimescaleDB';
