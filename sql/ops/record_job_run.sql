-- The records that TimescaleDB keeps itself if it runs the jobs.

CREATE OR REPLACE FUNCTION ops.record_job_run(p_job_id integer, p_started_at timestamptz, p_error text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    DELETE FROM ops.job_run AS r
    WHERE NOT EXISTS (SELECT FROM ops.policy_job AS j WHERE j.job_id = r.job_id);

    INSERT INTO ops.job_run AS r (job_id, started_at, finished_at, failures, error)
    VALUES (p_job_id, p_started_at, clock_timestamp(), (p_error IS NOT NULL)::integer, p_error)
    ON CONFLICT (job_id) DO UPDATE SET
        started_at = excluded.started_at,
        finished_at = excluded.finished_at,
        failures = r.failures + excluded.failures,
        error = excluded.error;
$$;

REVOKE EXECUTE ON FUNCTION ops.record_job_run (integer, timestamptz, text) FROM PUBLIC;

COMMENT ON FUNCTION ops.record_job_run (integer, timestamptz, text) IS
'Records in ops.job_run that a job ran from p_started_at until now, and its error (NULL without)';
