"""What BI people may rely on: names and types of columns, and that they read bi and nothing else."""

from pathlib import Path

import pytest

from tests.support import Owner

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
    types = {"text", "timestamp with time zone", "double precision", "bigint", "boolean"}
    assert {line.split(" ", 1)[1] for line in found} <= types


async def test_bi_people_read_everything_in_bi(owner: Owner) -> None:
    relations = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'"
    )
    assert len(relations) == 10
    async with owner.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE energy_bi")
        for (relation,) in relations:
            recent = "TRUE" if relation == "vehicle_meter" else "bucket > now() - INTERVAL '1 hour'"
            await connection.fetch(f"SELECT * FROM bi.{relation} WHERE {recent} LIMIT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM telemetry.meter_telemetry_history",
        "SELECT * FROM telemetry.device_profile",
        "SELECT telemetry.default_meter_id('V1')",
        "SELECT * FROM api.get_vehicle_status('V1')",
        "SELECT * FROM ops.migration",
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
    assert set(settings) == {"statement_timeout=60s", "default_transaction_read_only=on"}
