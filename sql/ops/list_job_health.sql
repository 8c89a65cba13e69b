-- TimescaleDB shows errors of jobs only to members of their owner's role, hence SECURITY DEFINER. If the service runs
-- the jobs (the embedded database), ops.job_run has the records.

CREATE OR REPLACE FUNCTION ops.list_job_health() RETURNS TABLE (
    job_id integer, purpose text, object text, duty text, schedule_interval interval, last_started_at timestamptz,
    last_duration interval, next_start timestamptz, failures bigint, last_error text, overdue interval, health text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT
        j.job_id,
        CASE j.duty
            WHEN 'compress' THEN 'moves chunks of ' || j.object || ' to the columnstore'
            WHEN 'evaluate' THEN 'opens and closes alerts by ops.alert_rule'
            WHEN 'drop' THEN CASE j.object
                WHEN 'telemetry.alert' THEN 'deletes closed alerts that are due'
                ELSE 'drops chunks of ' || j.object || ' that are due'
                    || CASE WHEN (j.config ->> 'archive')::boolean THEN ' and archived' ELSE '' END
            END
            WHEN 'watch' THEN 'ends sessions of BI beyond their limits'
            ELSE 'refreshes ' || j.object || ' and what is made of it'
        END,
        j.object,
        j.duty,
        j.schedule_interval,
        t.started_at,
        t.duration,
        t.next_start,
        t.failures,
        CASE WHEN t.failed THEN t.error END,
        o.overdue,
        CASE
            WHEN NOT j.is_scheduled THEN 'paused'
            WHEN t.is_stuck THEN 'stuck'
            WHEN t.failed THEN 'failing'
            WHEN o.overdue > INTERVAL '0' THEN 'late'
            ELSE 'ok'
        END
    FROM ops.policy_job AS j
    LEFT JOIN timescaledb_information.jobs AS i ON i.job_id = j.job_id
    LEFT JOIN timescaledb_information.job_stats AS s ON s.job_id = j.job_id
    LEFT JOIN ops.job_run AS r ON r.job_id = j.job_id
    CROSS JOIN LATERAL (
        SELECT
            coalesce(r.started_at, nullif(s.last_run_started_at, '-infinity')) AS started_at,
            CASE WHEN r.job_id IS NULL THEN s.last_run_duration ELSE r.finished_at - r.started_at END AS duration,
            CASE
                WHEN r.job_id IS NULL THEN coalesce(nullif(j.next_start, '-infinity'), i.initial_start)
                ELSE r.started_at + j.schedule_interval
            END AS next_start,
            CASE WHEN r.job_id IS NULL THEN coalesce(s.total_failures, 0) ELSE r.failures END AS failures,
            CASE WHEN r.job_id IS NULL THEN coalesce(s.last_run_status = 'Failed', FALSE) ELSE r.error IS NOT NULL END AS failed,
            -- so it is while it runs; after a failover, TimescaleDB before 2.26.4 can leave it so
            r.job_id IS NULL AND j.next_start = '-infinity' AND s.job_status <> 'Running'
            AND s.last_run_started_at < now() - INTERVAL '10 minutes' AS is_stuck,
            coalesce(r.error, (
                SELECT e.err_message FROM timescaledb_information.job_errors AS e
                WHERE e.job_id = j.job_id
                ORDER BY e.start_time DESC
                LIMIT 1
            )) AS error
    ) AS t
    CROSS JOIN LATERAL (
        -- one run may take its time, or wait for a worker
        SELECT greatest(
            now() - greatest(t.next_start, t.started_at + j.schedule_interval)
            - greatest(j.schedule_interval, INTERVAL '10 minutes'),
            INTERVAL '0'
        ) AS overdue
    ) AS o;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_job_health () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_job_health () TO energy_dba;

COMMENT ON FUNCTION ops.list_job_health () IS 'The rows of ops.job_health';
