-- By default every login may take the engine's advisory locks, make jobs, fill the disk, lock the history, and read
-- TimescaleDB's own tables.
-- It is called at every migration: an upgrade of TimescaleDB brings new functions, and a restore forgets the rights of the
-- database. It works with the rights of its caller, as only a superuser can do all of it.

CREATE OR REPLACE FUNCTION ops.secure_database() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
SET client_min_messages = error -- another login is only warned that it revokes nothing, and ops.diagnose says so
AS $$
DECLARE
    v_function regprocedure;
    v_readers text;
    v_open record;
    v_role text;
BEGIN
    FOR v_function IN SELECT f.function FROM ops.list_open_functions() AS f LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', v_function);
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO energy_owner', v_function);
    END LOOP;

    -- those who have tables here read TimescaleDB's own still, for pg_dump and for sizes
    SELECT string_agg(quote_ident(r.rolname), ', ') INTO v_readers
    FROM pg_roles AS r
    WHERE r.rolname IN ('energy_owner', 'energy_dba', 'pg_monitor', 'pg_database_owner')
        OR (r.oid IN (SELECT c.relowner FROM pg_class AS c) AND NOT ops.is_bi_login(r.oid));
    FOR v_open IN SELECT o.relation, o.reader FROM ops.list_open_relations() AS o LOOP
        IF v_open.reader = 'PUBLIC' THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', v_open.relation, v_readers);
        END IF;
        EXECUTE format('REVOKE SELECT ON %s FROM %s', v_open.relation, v_open.reader);
    END LOOP;
    PERFORM ops.configure_bi_logins();

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
'Leaves the functions of ops.list_open_functions to energy_owner, temporary tables to energy_owner and energy_dba, and the relations of ops.list_open_relations to roles that have tables here and to pg_monitor, lets energy_owner end sessions of BI, and calls ops.configure_bi_logins. To be called by a superuser; for any other login it does what that login may do';
