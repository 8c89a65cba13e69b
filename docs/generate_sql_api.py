"""Generator of docs/sql-api.md, from the comments in the database: `make docs`. A test compares the two."""

from __future__ import annotations

import tempfile
from pathlib import Path

import psycopg

from service.database.migrate import migrate
from service.embedded import run_embedded

TARGET = Path(__file__).parent / "sql-api.md"
SCHEMAS = ("api", "bi", "telemetry", "ops")

OBJECTS = r"""
SELECT n.nspname, obj_description(n.oid, 'pg_namespace'), kind, title, comment, columns
FROM pg_namespace AS n
JOIN (
    SELECT
        p.pronamespace AS schema, 1 AS rank,
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
        p.proname AS name,
        p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS title,
        obj_description(p.oid, 'pg_proc') || coalesce(E'.\n\nReturns `' || pg_get_function_result(p.oid) || '`', '')
            AS comment,
        NULL AS columns
    FROM pg_proc AS p
    UNION ALL
    SELECT
        c.relnamespace, CASE c.relkind WHEN 'c' THEN 2 ELSE 3 END,
        CASE c.relkind WHEN 'c' THEN 'type' WHEN 'v' THEN 'view' ELSE 'table' END,
        c.relname, c.relname,
        coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')),
        (
            SELECT array_agg(
                '| `' || a.attname || '` | ' || format_type(a.atttypid, a.atttypmod) || ' | '
                || col_description(c.oid, a.attnum) || ' |' ORDER BY a.attnum
            )
            FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        )
    FROM pg_class AS c
    WHERE c.relkind IN ('r', 'c', 'v')
) AS object ON object.schema = n.oid
WHERE n.nspname = ANY (%s)
ORDER BY array_position(%s, n.nspname), rank, name, title
"""


def render(url: str) -> str:
    """Render the document for the migrated database at `url`."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(OBJECTS, [list(SCHEMAS), list(SCHEMAS)]).fetchall()
    lines = ["# SQL reference", "", "Written by `make docs` from the comments in the database; change them there.", ""]
    heading = None
    for schema, purpose, kind, title, comment, columns in rows:
        if schema != heading:
            heading = schema
            lines += [f"## Schema `{schema}`", "", f"{purpose}.", ""]
        lines += [f"### {kind} `{title}`", "", f"{comment}.", ""]
        if columns:
            lines += ["| column | type | |", "|---|---|---|", *columns, ""]
    return "\n".join(lines)


def main() -> None:
    """Render from a fresh embedded database."""
    with tempfile.TemporaryDirectory() as folder, run_embedded(Path(folder)) as embedded:
        migrate(embedded.url)
        TARGET.write_text(render(embedded.url))


if __name__ == "__main__":
    main()
