-- TimescaleDB lets every login make jobs, of any name and with any configuration. A job of another login can pass for
-- one of the engine's, or keep the workers busy. It is called at every migration: an upgrade of TimescaleDB brings new
-- functions. It works with the rights of its caller, as only the extension's owner can revoke.

CREATE OR REPLACE FUNCTION ops.revoke_job_functions() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
SET client_min_messages = error -- another login is only warned that it revokes nothing, and ops.diagnose says so
AS $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN SELECT f FROM ops.list_open_job_functions() AS f LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', v_function);
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO energy_owner', v_function);
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.revoke_job_functions () FROM PUBLIC;

COMMENT ON FUNCTION ops.revoke_job_functions () IS
'Leaves the functions of TimescaleDB that make, change and run jobs and policies to energy_owner. To be called by the owner of the extension';
