-- For TimescaleDB without background workers. Retention comes last, as it waits for the others.

CREATE OR REPLACE FUNCTION ops.list_due_jobs() RETURNS SETOF integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT j.job_id
    FROM ops.policy_job AS j
    LEFT JOIN ops.job_run AS r ON r.job_id = j.job_id
    WHERE j.is_scheduled AND (r.job_id IS NULL OR r.started_at + j.schedule_interval <= now())
    ORDER BY
        array_position(ARRAY['watch', 'refresh', 'evaluate', 'compress', 'drop'], j.duty),
        j.job_id;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_due_jobs () FROM PUBLIC;

COMMENT ON FUNCTION ops.list_due_jobs () IS 'The due jobs by ops.job_run, in the order in which to run them';
