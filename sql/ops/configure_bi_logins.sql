-- A role grants its rights to its members, and not its settings, so each BI login has its own, in this database only. A
-- setting that a DBA has chosen stays. public is in the path for the functions of TimescaleDB, as time_bucket; it has no
-- relations. temp_file_limit keeps sorts and results from filling the disk: only a superuser may set it, so that no login
-- can change its own. With the rights of its caller, as energy_owner may alter no login.

CREATE OR REPLACE FUNCTION ops.configure_bi_logins(p_previous_zone text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_zone text;
    v_login record;
BEGIN
    SELECT f.time_zone INTO v_zone FROM telemetry.fleet AS f;
    FOR v_login IN
        SELECT
            r.rolname,
            bool_or(s.name = 'search_path') AS has_path,
            bool_or(s.name = 'timezone' AND s.value IS DISTINCT FROM p_previous_zone) AS has_zone,
            bool_or(s.name = 'temp_file_limit') AS has_disk_limit
        FROM pg_roles AS r
        LEFT JOIN pg_db_role_setting AS d
            ON d.setrole = r.oid AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        LEFT JOIN LATERAL unnest(d.setconfig) AS c (setting) ON TRUE
        LEFT JOIN LATERAL (
            SELECT lower(split_part(c.setting, '=', 1)) AS name, split_part(c.setting, '=', 2) AS value
        ) AS s ON TRUE
        WHERE r.rolcanlogin AND ops.is_bi_login(r.oid)
        GROUP BY r.rolname
    LOOP
        BEGIN
            IF v_login.has_path IS NOT TRUE THEN
                EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = bi, public', v_login.rolname, current_database());
            END IF;
            IF v_login.has_zone IS NOT TRUE THEN
                EXECUTE format('ALTER ROLE %I IN DATABASE %I SET TimeZone = %L', v_login.rolname, current_database(), v_zone);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN NULL; -- a login that another administrator has made
            WHEN undefined_object THEN NULL; -- it is dropped at this moment
        END;
        BEGIN
            IF v_login.has_disk_limit IS NOT TRUE THEN
                EXECUTE format('ALTER ROLE %I IN DATABASE %I SET temp_file_limit = ''2GB''', v_login.rolname, current_database());
            END IF;
        EXCEPTION
            WHEN insufficient_privilege OR undefined_object THEN NULL; -- as above, and the caller is no superuser
        END;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.configure_bi_logins (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.configure_bi_logins (text) IS
'Gives the BI logins that have none a search_path (bi, public), the time zone of the fleet, and a temp_file_limit (2 GB), for their sessions in this database; with p_previous_zone also those that have that zone. It changes the logins that its caller may alter';
