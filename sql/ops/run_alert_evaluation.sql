-- TimescaleDB calls a job with two parameters.

CREATE OR REPLACE FUNCTION ops.run_alert_evaluation(p_job_id integer, p_config jsonb) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT ops.evaluate_alerts();
$$;

REVOKE EXECUTE ON FUNCTION ops.run_alert_evaluation (integer, jsonb) FROM PUBLIC;

COMMENT ON FUNCTION ops.run_alert_evaluation (integer, jsonb) IS 'The job of ops.evaluate_alerts; its parameters are ignored';
