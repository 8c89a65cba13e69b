"""The contract for BI: names, types and comments of columns, the rights of a login, and the list of stale buckets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from docs import generate_bi
from tests.bi.conftest import BiDatabase, run_bi_login
from tests.bi.document import DOCUMENT, QUERIES
from tests.oracle.records import Reading
from tests.support import Owner, TestDatabase, run_migrated_database
from tests.support.energy_world import EnergyDatabase

GOLDEN = Path(__file__).parent / "columns.txt"
COLUMNS = """
    SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'bi'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
    ORDER BY c.relname, a.attnum
"""


async def test_columns_never_change_in_place(owner: Owner) -> None:
    found = [row[0] for row in await owner.fetch(COLUMNS)]
    assert found == GOLDEN.read_text().splitlines(), "only add columns, at the end, and to tests/bi/columns.txt too"
    types = {"text", "timestamp with time zone", "date", "interval", "double precision", "numeric", "bigint", "boolean"}
    assert {line.split(" ", 1)[1] for line in found} <= types


async def test_every_relation_and_column_has_a_comment_and_the_document_shows_it(owner: Owner) -> None:
    rows = [tuple(row) for row in await owner.fetch(generate_bi.COLUMNS)]
    assert len(rows) == len(GOLDEN.read_text().splitlines())
    assert [(row[0], row[2]) for row in rows if not (row[1] and row[4])] == []
    assert generate_bi.render(rows) in DOCUMENT, "run: make docs"


async def test_every_mean_and_ratio_says_that_it_is_not_to_be_averaged(owner: Owner) -> None:
    means = [row for row in await owner.fetch(generate_bi.COLUMNS) if re.search(r"_(avg|ratio|share)$", row[2])]
    assert len(means) >= 12
    assert [(row[0], row[2]) for row in means if "Do not average it" not in row[4]] == []


async def test_bi_has_relations_and_nothing_else(owner: Owner) -> None:
    kinds = await owner.fetch("SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'bi'::regnamespace")
    assert [row[0] for row in kinds] == [b"v"]
    assert await owner.fetchval("SELECT count(*) FROM pg_proc WHERE pronamespace = 'bi'::regnamespace") == 0


def test_bi_people_read_everything_in_bi(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url) as connection:
        relations = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'"
        ).fetchall()
        assert len(relations) == len({line.partition(".")[0] for line in GOLDEN.read_text().splitlines()})
        connection.execute("SET LOCAL ROLE energy_bi")
        for (relation,) in relations:
            connection.execute(f"SELECT * FROM bi.{relation} LIMIT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM telemetry.meter_telemetry_history",
        "SELECT * FROM telemetry.device_profile",
        "SELECT telemetry.default_meter_id('V1')",
        "SELECT * FROM api.get_vehicle_status('V1')",
        "SELECT * FROM ops.migration",
        "SELECT * FROM ops.aggregate_lag",
        "SELECT ops.set_standby_kw(0)",
        "CALL ops.refresh_aggregates(NULL, '{}')",
        "DELETE FROM bi.meter_hourly",
        "CREATE TABLE bi.mine (id int)",
    ],
)
async def test_bi_people_may_do_nothing_else(owner: Owner, statement: str) -> None:
    async with owner.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SET LOCAL ROLE energy_bi")
        with pytest.raises(Exception, match=r"permission denied|cannot delete"):
            await connection.execute(statement)
        await transaction.rollback()


async def test_bi_people_have_a_time_limit_and_cannot_write(owner: Owner) -> None:
    settings = await owner.fetchval("SELECT rolconfig FROM pg_roles WHERE rolname = 'energy_bi'")
    assert set(settings) == {
        "statement_timeout=60s", "idle_in_transaction_session_timeout=1min", "default_transaction_read_only=on",
    }  # fmt: skip


@pytest.fixture
def bi_reader(test_database: TestDatabase) -> Iterator[BiDatabase]:
    """A database without readings behind a BI login."""
    with run_migrated_database(test_database) as another, run_bi_login(another) as reader:
        yield reader


@contextlib.contextmanager
def administration(database: BiDatabase) -> Iterator[EnergyDatabase]:
    """Whatever a BI login may not do. The embedded database has one session, so its role is set back at the end."""
    with psycopg.connect(database.admin_url, autocommit=True, prepare_threshold=None) as connection:
        yield EnergyDatabase(connection)
        if database.is_embedded:
            connection.execute("SET ROLE energy_bi")


def test_a_bi_login_sees_the_buckets_that_lack_a_late_reading_until_they_are_refreshed(bi_reader: BiDatabase) -> None:
    ten = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=20)
    midnight = ten.replace(hour=0)
    on_time = [Reading("meter", "M1", ten + timedelta(minutes=5, days=days), 1, voltage=230) for days in (0, 2)]
    late = Reading("meter", "M1", ten + timedelta(hours=1), 2, voltage=230)  # of the hour that ends then

    def ask(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(bi_reader.url, autocommit=True, prepare_threshold=None) as connection:
            assert connection.execute("SELECT has_schema_privilege('ops', 'USAGE')").fetchone() == (False,)
            return connection.execute(query).fetchall()

    stale = QUERIES["Buckets that are stale"]
    energy = f"SELECT bucket, kwh_consumed_ac FROM bi.meter_hourly WHERE bucket < '{ten + timedelta(days=1)}'"
    with administration(bi_reader) as fleet:
        assert fleet.arrive(on_time) == ["stored", "stored"]
    assert ask(stale) == []  # shown in real time
    assert ask(energy) == [(ten, 1)]

    with administration(bi_reader) as fleet:
        fleet.refresh()
        assert fleet.arrive([late]) == ["stored"]
    assert ask(stale) == [
        ("bi.meter_15min", ten + timedelta(minutes=45), ten + timedelta(hours=1)),
        ("bi.meter_daily", midnight, midnight + timedelta(days=1)),
        ("bi.meter_hourly", ten, ten + timedelta(hours=1)),
    ]
    assert ask(energy) == [(ten, 1)]

    with administration(bi_reader) as fleet:
        fleet.refresh()
    assert ask(stale) == []
    assert ask(energy) == [(ten, 3)]
