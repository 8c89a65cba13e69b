"""The pages for DBAs are true: their statements run, as the role that they are for, and print what the pages say."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support import ROOT, TestDatabase, run_migrated_database

RUNBOOK = (ROOT / "docs/operations.md").read_text()
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text()
BLOCKS = [re.sub(r"(?m)^ {4}", "", block) for block in re.findall(r"(?ms)^ *```sql\n(.*?)^ *```", RUNBOOK + RUNBOOKS)]
CONSOLES = re.findall(r"(?ms)^```console\n(.*?)^```", RUNBOOK + RUNBOOKS)

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def connection(test_database: TestDatabase) -> Iterator[Connection]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        connection.execute("RESET ROLE; SET search_path = public")
        stop_jobs(connection)
        for kind, columns, values in (
            ("meter", "kwh_consumed_ac, voltage", "1, 230"),
            ("vehicle", "soc, kwh_delivered_dc, battery_temp", "50, 1, 20"),
        ):
            connection.execute(
                f"INSERT INTO telemetry.{kind}_telemetry_history ({kind}_id, counted_at, {columns}) "
                f"SELECT 'X1', now() - n * INTERVAL '6 hours', {values} FROM generate_series(1, 80) AS n"
            )
        yield connection
        connection.execute("RESET ROLE")


def stop_jobs(connection: Connection) -> None:
    connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")


@pytest.fixture
def psql(connection: Connection) -> Iterator[Connection]:
    """A session; afterwards the policies are the defaults again."""
    connection.execute("RESET ROLE; SET TimeZone = 'UTC'")
    yield connection
    connection.execute("RESET ROLE; RESET ALL; SET search_path = public")
    with connection.transaction():
        connection.execute("SELECT ops.reset_policy(p.object) FROM ops.policy AS p")
        connection.execute("SELECT ops.apply_policies()")
        stop_jobs(connection)


def test_the_runbook_has_statements() -> None:
    assert len(BLOCKS) > 30
    assert len(CONSOLES) == 5


def test_every_runbook_is_symptom_check_do_and_verify() -> None:
    _, *sections = re.split(r"(?m)^## ", RUNBOOKS)
    assert len(sections) == 8
    for section in sections:
        assert re.findall(r"(?m)^\*\*(\w+)\.\*\*", section) == ["Symptom", "Check", "Do", "Verify"], section[:40]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0][:60] for block in BLOCKS])
def test_every_statement_of_the_runbook_runs_as_the_role_it_is_for(psql: Connection, block: str) -> None:
    if not block.startswith("SET ROLE energy_owner;"):
        psql.execute("SET ROLE energy_dba")
    for statement in re.split(r";\n", block):
        if statement.strip():
            psql.execute(statement)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


@pytest.mark.parametrize("session", CONSOLES, ids=["read", "change", "refused", "alerts", "drift"])
def test_what_the_runbook_prints_is_what_psql_would(psql: Connection, session: str) -> None:
    psql.execute("SET ROLE energy_dba")
    exchanges = re.findall(r"energy=> ([^\n]*);\n(.*?)(?=energy=> |\Z)", session, re.DOTALL)
    assert exchanges
    for statement, printed in exchanges:
        try:
            cursor = psql.execute(statement)
        except psycopg.Error as error:
            parts = {
                "ERROR": error.diag.message_primary,
                "DETAIL": error.diag.message_detail,
                "HINT": error.diag.message_hint,
            }
            assert printed.splitlines() == [f"{name}:  {said}" for name, said in parts.items() if said], statement
            continue
        header, _, *rows, count = printed.rstrip("\n").splitlines()
        assert cells(header) == [column.name for column in cursor.description or ()]
        result = cursor.pgresult
        assert result is not None
        found = [
            [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]
        assert [cells(row) for row in rows] == found, statement
        assert re.match(rf"\({len(found)} rows?\)", count)


def test_the_runbook_names_every_setting_duty_and_health(psql: Connection) -> None:
    settings = psql.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'ops.policy'::regclass AND attnum > 1 AND NOT attisdropped"
    )
    duties = psql.execute("SELECT DISTINCT duty FROM ops.policy_job")
    for (name,) in [*settings, *duties]:
        assert re.search(rf"(?m)^\| `{name}` \|", RUNBOOK), name
    [jobs] = psql.execute("SELECT count(*) FROM ops.policy_job").fetchone() or (0,)
    assert f"The engine has {jobs} jobs." in RUNBOOK
