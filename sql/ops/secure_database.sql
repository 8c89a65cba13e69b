-- By default every login may take the engine's advisory locks, make jobs, and fill the disk. It is called at every
-- migration: an upgrade of TimescaleDB brings new functions, and a restore forgets the rights of the database. It works
-- with the rights of its caller, as only a superuser can do all of it.

CREATE OR REPLACE FUNCTION ops.secure_database() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
SET client_min_messages = error -- another login is only warned that it revokes nothing, and ops.diagnose says so
AS $$
DECLARE
    v_function regprocedure;
    v_role text;
BEGIN
    FOR v_function IN SELECT f.function FROM ops.list_open_functions() AS f LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', v_function);
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO energy_owner', v_function);
    END LOOP;

    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    -- api.make_import_table works as the owner
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO energy_owner, energy_dba', current_database());

    -- for ops.end_bi_sessions
    FOREACH v_role IN ARRAY ARRAY['pg_signal_backend', 'pg_read_all_stats'] LOOP
        IF NOT pg_has_role('energy_owner', v_role, 'USAGE') THEN
            BEGIN
                EXECUTE format('GRANT %I TO energy_owner', v_role);
            EXCEPTION
                WHEN insufficient_privilege THEN NULL; -- ops.diagnose says so
                WHEN unique_violation THEN NULL; -- another database of the server is migrated at this moment
            END;
        END IF;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.secure_database () FROM PUBLIC;

COMMENT ON FUNCTION ops.secure_database () IS
'Leaves the functions of ops.list_open_functions to energy_owner and temporary tables to energy_owner and energy_dba, and lets energy_owner end sessions of BI. To be called by a superuser; for any other login it does what that login may do';
