-- The names of all versions of TimescaleDB have one of two words in common.

CREATE OR REPLACE FUNCTION ops.list_open_job_functions() RETURNS SETOF regprocedure
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT p.oid::regprocedure
    FROM pg_extension AS e
    JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    WHERE
        e.extname = 'timescaledb'
        AND p.proname ~ 'job|polic(y|ies)'
        AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0);
$$;

REVOKE EXECUTE ON FUNCTION ops.list_open_job_functions () FROM PUBLIC;

COMMENT ON FUNCTION ops.list_open_job_functions () IS
'The functions and procedures of TimescaleDB for jobs and policies that every login may execute';
