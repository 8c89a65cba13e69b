"""Generator of the columns in docs/bi.md and docs/bi/superset, from the comments in the database: `make docs`.

A test compares them.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from docs import generate_superset
from service.database.migrate import migrate
from service.embedded import run_embedded

TARGET = Path(__file__).parent / "bi.md"
GENERATED = re.compile(r"(<!-- written by `make docs` from the comments in the database -->\n).*?(<!-- end -->)", re.S)

COLUMNS = """
SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod),
    col_description(c.oid, a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'bi'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
ORDER BY
    array_position('{15min,hourly,daily}', substring(c.relname FROM '15min|hourly|daily')), c.relname, a.attnum
"""


def render(rows: Iterable[Sequence[Any]]) -> str:
    """Render a table for each kind of relation, from the rows of COLUMNS; relations with the same columns share one."""
    kinds: dict[tuple[tuple[str, str], ...], list[list[Sequence[Any]]]] = {}
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        relation = list(group)
        kinds.setdefault(tuple((row[2], row[3]) for row in relation), []).append(relation)
    lines = [""]
    for columns, relations in kinds.items():
        lines += [f"- `bi.{relation[0][0]}`: {relation[0][1]}" for relation in relations]
        lines += ["", "| column | type | |", "|---|---|---|"]
        for i, (name, kind) in enumerate(columns):
            # relations that share a table differ in the comment of the buckets only
            comments = dict.fromkeys(relation[i][4] for relation in relations)
            lines.append(f"| `{name}` | {kind} | {' / '.join(comments)} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def replace(document: str, rows: Iterable[Sequence[Any]]) -> str:
    """Return the document with its generated part replaced."""
    return GENERATED.sub(lambda match: match[1] + render(rows) + match[2], document)


def main() -> None:
    """Render from a fresh embedded database."""
    with tempfile.TemporaryDirectory() as folder, run_embedded(Path(folder)) as embedded:
        migrate(embedded.url)
        with psycopg.connect(embedded.url) as connection:
            rows = connection.execute(COLUMNS).fetchall()
    TARGET.write_text(replace(TARGET.read_text(), rows))
    generate_superset.write(rows)


if __name__ == "__main__":
    main()
