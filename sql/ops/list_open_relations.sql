-- Navigators of BI tools list every relation that a login may read (information_schema.tables). TimescaleDB lets every
-- login read its catalog and its views, and a GRANT on an aggregate reaches the tables and views behind it. To query an
-- aggregate, a login needs none of these.

CREATE OR REPLACE FUNCTION ops.list_open_relations() RETURNS TABLE (relation regclass, reader text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT c.oid::regclass, 'PUBLIC'
    FROM pg_extension AS e
    JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    WHERE
        e.extname = 'timescaledb'
        AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
    UNION ALL
    SELECT c.oid::regclass, 'energy_bi'
    FROM pg_class AS c
    WHERE
        c.relnamespace = '_timescaledb_internal'::regnamespace
        AND EXISTS (
            SELECT FROM aclexplode(c.relacl) AS a
            WHERE a.grantee = 'energy_bi'::regrole AND a.privilege_type = 'SELECT'
        );
$$;

REVOKE EXECUTE ON FUNCTION ops.list_open_relations () FROM PUBLIC;

COMMENT ON FUNCTION ops.list_open_relations () IS
'The relations of TimescaleDB, and those behind the aggregates, that a BI login may read and does not need, and the role (PUBLIC, energy_bi) through which it may';
