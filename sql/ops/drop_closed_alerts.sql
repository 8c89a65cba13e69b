-- Retention of telemetry.alert, which has no chunks. Open alerts stay, however old.

CREATE OR REPLACE FUNCTION ops.drop_closed_alerts(p_job_id integer, p_config jsonb) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    DELETE FROM telemetry.alert AS a WHERE a.closed_at < now() - (p_config ->> 'drop_after')::interval;
$$;

REVOKE EXECUTE ON FUNCTION ops.drop_closed_alerts (integer, jsonb) FROM PUBLIC;

COMMENT ON FUNCTION ops.drop_closed_alerts (integer, jsonb) IS
'Deletes the alerts that closed longer ago than the drop_after of p_config; runs as a job, and p_job_id is ignored';
