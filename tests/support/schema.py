"""The whole schema as lines of text: objects, comments, rights, jobs. `schema.txt` is that of a fresh installation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import psycopg

from service.database.migrate import migrate
from service.embedded import run_embedded
from tests.security.test_grants import GRANTS

GOLDEN = Path(__file__).parent / "schema.txt"

LINES = f"""
SELECT kind || ' ' || object || ': ' || definition FROM ops.list_schema()
UNION ALL
SELECT 'comment on ' || i.type || ' ' || i.identity || ': ' || md5(d.description)
FROM pg_description AS d
CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
WHERE i.schema IN ('api', 'telemetry', 'bi', 'ops')
UNION ALL
SELECT format(
    'job that does %s on %s: %s every %s with %s',
    duty, object, procedure, schedule_interval, config - 'mat_hypertable_id' - 'hypertable_id'
)
FROM ops.policy_job
UNION ALL
SELECT 'right of ' || line FROM ({GRANTS}) AS g
-- of the server, so of every database on it
WHERE line NOT LIKE 'role %'
"""


def schema_of(connection: psycopg.Connection[Any]) -> list[str]:
    """The lines of a database, sorted."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")  # so that every other schema is named
        return sorted(line for (line,) in connection.execute(LINES).fetchall())


def golden() -> list[str]:
    return GOLDEN.read_text().splitlines()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, run_embedded(Path(folder)) as embedded:
        migrate(embedded.url)
        with psycopg.connect(embedded.url, autocommit=True) as session:
            GOLDEN.write_text("\n".join(schema_of(session)) + "\n")
