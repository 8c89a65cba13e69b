-- TimescaleDB's own account of its jobs, by the object and the duty that ops.policy has a row and a column for.

CREATE OR REPLACE VIEW ops.policy_job AS
SELECT
    j.job_id,
    j.object,
    CASE
        WHEN j.proc_name IN ('policy_compression', 'compress_due_chunks') THEN 'compress'
        WHEN j.proc_name IN ('policy_retention', 'drop_archived_chunks') THEN 'drop'
        WHEN j.proc_name = 'refresh_stale_days' THEN 'imports'
        WHEN row_number() OVER (
            PARTITION BY j.object, j.proc_name ORDER BY (j.config ->> 'start_offset')::interval
        ) = 1 THEN 'live'
        ELSE 'late'
    END AS duty,
    j.proc_name::text AS procedure,
    j.schedule_interval,
    j.config,
    j.scheduled AS is_scheduled,
    j.next_start
FROM (
    SELECT i.*, coalesce(i.config ->> 'object', i.hypertable_schema || '.' || i.hypertable_name) AS object
    FROM timescaledb_information.jobs AS i
    WHERE i.proc_name IN (
        'policy_compression', 'compress_due_chunks', 'policy_retention', 'drop_archived_chunks', 'refresh_stale_days',
        'policy_refresh_continuous_aggregate', 'refresh_daily'
    )
) AS j
WHERE j.object LIKE 'telemetry.%' OR j.object LIKE 'bi.%' OR j.proc_name = 'refresh_stale_days';

GRANT SELECT ON ops.policy_job TO energy_dba;

COMMENT ON VIEW ops.policy_job IS 'The jobs of the engine';
COMMENT ON COLUMN ops.policy_job.job_id IS 'TimescaleDB''s number of the job, for run_job and alter_job';
COMMENT ON COLUMN ops.policy_job.object IS 'The object of ops.policy it works on; NULL where it is all aggregates';
COMMENT ON COLUMN ops.policy_job.duty IS 'compress, drop, live or late (the refresh tiers), or imports (refreshes what imports have stored)';
COMMENT ON COLUMN ops.policy_job.procedure IS 'What it calls';
COMMENT ON COLUMN ops.policy_job.schedule_interval IS 'How often it runs';
COMMENT ON COLUMN ops.policy_job.config IS 'What it is told';
COMMENT ON COLUMN ops.policy_job.is_scheduled IS 'Whether it runs by itself';
COMMENT ON COLUMN ops.policy_job.next_start IS 'When TimescaleDB means to run it next';
