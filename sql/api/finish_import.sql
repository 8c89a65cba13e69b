-- An import that is complete leaves nothing behind but its readings, and the aggregates take those up now.

CREATE OR REPLACE FUNCTION api.finish_import(p_import_id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    DELETE FROM telemetry.import_progress WHERE import_id = p_import_id;
    SELECT pg_advisory_unlock(hashtextextended(p_import_id, 0));
    SELECT public.alter_job(j.job_id, next_start => now())
    FROM timescaledb_information.jobs AS j
    WHERE j.proc_schema = 'ops' AND j.proc_name = 'refresh_stale_days';
$$;

REVOKE EXECUTE ON FUNCTION api.finish_import (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.finish_import (text) TO energy_service;

COMMENT ON FUNCTION api.finish_import (text) IS
'Forgets a complete import, gives its lock back, and starts the job that refreshes the aggregates (ops.refresh_stale_days)';
