-- Functions with which any login can disturb the engine. TimescaleDB's job functions have one of two words in common in
-- all of its versions. Its functions that attach, detach, merge and split chunks lock the history before they look at
-- rights. Advisory locks have keys that everybody can guess. Large objects and messages in the WAL fill the disk.

CREATE OR REPLACE FUNCTION ops.list_open_functions() RETURNS TABLE (function regprocedure, purpose text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT f.function, f.purpose
    FROM (
        SELECT
            p.oid::regprocedure AS function, p.proacl, p.proowner,
            CASE WHEN p.proname ~ 'job|polic(y|ies)' THEN 'make jobs' ELSE 'lock the history' END AS purpose
        FROM pg_extension AS e
        JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
        JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        WHERE e.extname = 'timescaledb' AND p.proname ~ 'job|polic(y|ies)|^(attach|detach|merge|split)_.*chunk'
        UNION ALL
        SELECT
            p.oid::regprocedure, p.proacl, p.proowner,
            CASE
                WHEN p.proname ~ 'advisory' THEN 'take advisory locks'
                WHEN p.proname = 'pg_logical_emit_message' THEN 'write messages into the WAL'
                ELSE 'make large objects'
            END
        FROM pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND p.proname ~ '^(pg_(try_)?advisory_|lo_|loread$|lowrite$|pg_logical_emit_message$)'
    ) AS f
    WHERE EXISTS (SELECT FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a WHERE a.grantee = 0);
$$;

REVOKE EXECUTE ON FUNCTION ops.list_open_functions () FROM PUBLIC;

COMMENT ON FUNCTION ops.list_open_functions () IS
'The functions and procedures that every login may execute, and only energy_owner should: their purpose is to make jobs and policies, lock the history, take advisory locks, make large objects, or write messages into the WAL';
