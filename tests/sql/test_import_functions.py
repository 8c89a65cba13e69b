"""The import functions, as far as the importer itself does not show."""

import asyncpg
import pytest

from service.database.connect import open_connection
from tests.support import TestDatabase


@pytest.mark.concurrent
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_table_that_the_caller_made_is_not_read_with_the_owners_rights(
    test_database: TestDatabase, kind: str
) -> None:
    store = f"SELECT * FROM api.import_{kind}_readings(TRUE)"
    async with open_connection(test_database.url) as connection:
        with pytest.raises(Exception, match=r"api\.make_import_table makes it"):
            await connection.execute(store)
        columns = "SELECT 1 AS place, current_user::text AS meter_id, now() AS recorded_at"
        view = f"CREATE TEMPORARY VIEW import_{kind}_reading AS {columns}"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="temporary tables"):
            await connection.execute(view)
        # nor if a login could
        await connection.execute(f"RESET ROLE; {view}; SET ROLE energy_service")
        with pytest.raises(Exception, match=r"api\.make_import_table makes it"):
            await connection.execute(store)


@pytest.mark.concurrent
async def test_the_service_may_fill_its_import_table_and_nothing_else(test_database: TestDatabase) -> None:
    async with open_connection(test_database.url) as connection:
        await connection.execute("SELECT api.make_import_table('meter')")
        row = (1, "M1", await connection.fetchval("SELECT now()"), 1.0, 230.0)
        await connection.copy_records_to_table("import_meter_reading", records=[row], schema_name="pg_temp")
        for statement in ("SELECT * FROM", "DELETE FROM", "DROP TABLE"):
            with pytest.raises(Exception, match=r"permission denied|must be owner"):
                await connection.execute(f"{statement} pg_temp.import_meter_reading")


@pytest.mark.concurrent
async def test_what_is_too_near_to_nothing_is_found_between_good_rows(test_database: TestDatabase) -> None:
    async with open_connection(test_database.url) as connection:
        times = [await connection.fetchval("SELECT now() - $1 * INTERVAL '1 minute'", minutes) for minutes in (1, 2, 3)]
        async with connection.transaction():
            await connection.execute("SELECT api.make_import_table('meter')")
            volts = (0.0, 5e-324, 230.0)
            rows = [
                (place, "near-nothing", time, 1.0, volt)
                for place, (time, volt) in enumerate(zip(times, volts, strict=True))
            ]
            await connection.copy_records_to_table("import_meter_reading", records=rows, schema_name="pg_temp")
            answers = await connection.fetch("SELECT outcome, readings, place FROM api.import_meter_readings(TRUE)")
    assert {tuple(answer) for answer in answers} == {("ignored", 1, 1), ("stored", 3, None)}
