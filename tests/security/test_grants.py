"""Who may do what: every right that a role of ours, or everybody, has on an object of ours, against a list."""

from pathlib import Path

from tests.support import Owner

GOLDEN = Path(__file__).parent / "grants.txt"

GRANTS = """
WITH schema AS (
    SELECT oid, nspname, nspacl FROM pg_namespace WHERE nspname IN ('telemetry', 'api', 'bi', 'ops', 'yoyo', 'public')
),
granted AS (
    SELECT 'schema ' || s.nspname AS object, a.grantee, a.privilege_type, s.nspname
    FROM schema AS s, aclexplode(coalesce(s.nspacl, acldefault('n', 10))) AS a
    UNION ALL
    SELECT
        CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'relation ' END || s.nspname || '.' || c.relname,
        a.grantee, a.privilege_type, s.nspname
    FROM pg_class AS c JOIN schema AS s ON s.oid = c.relnamespace, aclexplode(c.relacl) AS a
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
    UNION ALL
    SELECT 'column ' || s.nspname || '.' || c.relname || '.' || t.attname, a.grantee, a.privilege_type, s.nspname
    FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid JOIN schema AS s ON s.oid = c.relnamespace,
        aclexplode(t.attacl) AS a
    UNION ALL
    SELECT 'function ' || s.nspname || '.' || p.proname, a.grantee, a.privilege_type, s.nspname
    FROM pg_proc AS p JOIN schema AS s ON s.oid = p.pronamespace,
        aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
)
SELECT DISTINCT object || ': ' || CASE WHEN grantee = 0 THEN 'everybody' ELSE grantee::regrole::text END
    || ' ' || lower(privilege_type) AS line
FROM granted
-- the owner has every right; TimescaleDB's and PostgreSQL's own objects in public are theirs
WHERE (grantee = 0 OR grantee::regrole::text IN ('energy_service', 'energy_bi', 'energy_dba'))
AND (nspname <> 'public' OR object LIKE 'schema%')
UNION
SELECT 'database: ' || CASE WHEN a.grantee = 0 THEN 'everybody' ELSE a.grantee::regrole::text END
    || ' ' || lower(a.privilege_type)
FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.datname = current_database() AND (a.grantee = 0 OR a.grantee::regrole::text ~ '^energy_')
UNION
SELECT 'role ' || m.roleid::regrole || ': ' || m.member::regrole || ' member' FROM pg_auth_members AS m
WHERE m.member::regrole::text ~ '^energy_(owner|service|bi|dba)$'
UNION
SELECT 'role ' || r.rolname || ': ' || attribute FROM pg_roles AS r,
    unnest(ARRAY[
        CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcreaterole THEN 'createrole' END,
        CASE WHEN r.rolcreatedb THEN 'createdb' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
        CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolcanlogin THEN 'login' END
    ]) AS attribute
WHERE r.rolname ~ '^energy_(owner|service|bi|dba)$' AND attribute IS NOT NULL
"""


async def test_every_right_is_in_the_list_and_every_right_of_the_list_is_there(owner: Owner) -> None:
    found = sorted(row[0] for row in await owner.fetch(GRANTS))
    listed = GOLDEN.read_text().splitlines()
    assert sorted(set(found) - set(listed)) == [], "a right that nobody wrote down in grants.txt"
    assert sorted(set(listed) - set(found)) == [], "a right that grants.txt promises"
    assert listed == sorted(listed)


def test_the_list_gives_nobody_what_no_role_should_have() -> None:
    lines = GOLDEN.read_text().splitlines()
    service = [line for line in lines if " energy_service " in line]
    assert {line.split(".")[0] for line in service} == {"function api", "schema api: energy_service usage"}
    assert not [line for line in lines if line.startswith(("function", "relation", "column")) and " everybody " in line]
    bi = [line for line in lines if " energy_bi " in line]
    assert bi
    # the functions are those that its views call; it may not name them, without the right to use their schema
    assert {line.rpartition(" ")[2] for line in bi} <= {"usage", "select", "execute"}
    assert "schema bi: energy_bi usage" in bi
    assert len([line for line in bi if line.endswith("usage")]) == 1
    assert not [
        line for line in lines if line.endswith(("superuser", "createrole", "createdb", "bypassrls", "replication"))
    ]


EFFECTIVE = """
WITH roles (role) AS (VALUES ('energy_service'), ('energy_bi'), ('energy_dba')),
objects AS (
    SELECT 'function ' || n.nspname || '.' || p.proname AS object, 'execute' AS privilege, p.oid, n.oid AS schema,
        p.tableoid AS catalog
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'relation ' || n.nspname || '.' || c.relname, v.privilege, c.oid, n.oid, c.tableoid
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
        unnest(ARRAY['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) AS v (privilege)
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
)
SELECT DISTINCT o.object || ': ' || r.role || ' ' || o.privilege AS line
FROM objects AS o CROSS JOIN roles AS r
WHERE o.schema::regnamespace::text IN ('telemetry', 'api', 'bi', 'ops', 'yoyo')
AND CASE WHEN o.privilege = 'execute' THEN has_function_privilege(r.role, o.oid, 'execute')
    ELSE has_table_privilege(r.role, o.oid, o.privilege) END
"""


async def test_no_role_may_do_more_with_any_function_or_relation_than_the_list_says(owner: Owner) -> None:
    """Whatever gives it the right: a grant to everybody, a membership, an attribute."""
    listed = set(GOLDEN.read_text().splitlines())
    found = {row["line"] for row in await owner.fetch(EFFECTIVE)}
    assert len(found) > 50
    assert found - listed == set()
