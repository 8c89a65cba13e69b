-- A login that may do more than BI is trusted with more. pg_has_role is true for every superuser.

CREATE OR REPLACE FUNCTION ops.is_bi_login(p_login oid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT coalesce(
        pg_has_role(p_login, 'energy_bi', 'MEMBER')
        AND NOT pg_has_role(p_login, 'energy_owner', 'MEMBER')
        AND NOT pg_has_role(p_login, 'energy_service', 'MEMBER')
        AND NOT pg_has_role(p_login, 'energy_dba', 'MEMBER'),
        FALSE
    );
$$;

REVOKE EXECUTE ON FUNCTION ops.is_bi_login (oid) FROM PUBLIC;

COMMENT ON FUNCTION ops.is_bi_login (oid) IS
'True for a member of energy_bi that is neither a superuser nor a member of another role of the engine; false for NULL, a process without a login';
