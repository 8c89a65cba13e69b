"""What the catalogue must say: who owns, who may, what is documented, and that a newcomer guesses every path right."""

import re

import pytest

from service.database.migrations import CODE_SCHEMAS, SQL_DIR
from service.database.pool import Database, open_database
from tests.support import Owner, TestDatabase

SCHEMAS = "('telemetry', 'api', 'bi', 'ops')"
TABLES = f"SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN {SCHEMAS}"
FUNCTIONS = f"SELECT p.* FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN {SCHEMAS}"


async def names(owner: Owner, query: str) -> list[str]:
    return [row[0] for row in await owner.fetch(query)]


async def test_energy_owner_owns_everything(owner: Owner) -> None:
    foreign = f"""
        SELECT nspname FROM pg_namespace WHERE nspname IN {SCHEMAS} AND nspowner <> 'energy_owner'::regrole
        UNION ALL SELECT relname FROM ({TABLES}) AS t WHERE relowner <> 'energy_owner'::regrole
        UNION ALL SELECT proname FROM ({FUNCTIONS}) AS f WHERE proowner <> 'energy_owner'::regrole
        UNION ALL SELECT application_name FROM timescaledb_information.jobs
            WHERE job_id >= 1000 AND owner::text <> 'energy_owner'
    """
    assert await names(owner, foreign) == []


async def test_every_object_and_every_column_has_a_comment(owner: Owner) -> None:
    silent = f"""
        SELECT 'schema ' || nspname FROM pg_namespace
            WHERE nspname IN {SCHEMAS} AND obj_description(oid, 'pg_namespace') IS NULL
        UNION ALL SELECT 'role ' || rolname FROM pg_roles
            WHERE rolname IN ('energy_owner', 'energy_service', 'energy_bi', 'energy_dba')
            AND shobj_description(oid, 'pg_authid') IS NULL
        UNION ALL SELECT 'table ' || relname FROM ({TABLES}) AS t
            WHERE relkind IN ('r', 'v', 'm', 'p', 'c') AND coalesce(
                obj_description(oid, 'pg_class'), obj_description(reltype, 'pg_type')) IS NULL
        UNION ALL SELECT 'column ' || relname || '.' || attname FROM ({TABLES}) AS t
            JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
            WHERE relkind IN ('r', 'v', 'm', 'p', 'c') AND col_description(t.oid, attnum) IS NULL
        UNION ALL SELECT 'function ' || proname FROM ({FUNCTIONS}) AS f WHERE obj_description(oid, 'pg_proc') IS NULL
    """
    assert await names(owner, silent) == []


async def test_columns_of_measures_name_their_unit_in_the_comment(owner: Owner) -> None:
    rows = await owner.fetch(
        f"SELECT relname || '.' || attname AS name, col_description(t.oid, attnum) AS comment FROM ({TABLES}) AS t "
        "JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped "
        "WHERE atttypid = 'float8'::regtype AND relkind IN ('r', 'v', 'm', 'c')"
    )
    assert rows
    unit = re.compile(
        r"\b(kWh?|kg|V|percent|degrees Celsius|seconds|0 to 1|unit of the threshold|without a unit)\b"
        r"|DC delivered / AC consumed"
    )
    assert [row["name"] for row in rows if not unit.search(row["comment"])] == []


async def test_nothing_is_executable_by_public(owner: Owner) -> None:
    # a NULL acl means the default, and PostgreSQL's default for functions is PUBLIC
    public = f"""
        SELECT proname FROM ({FUNCTIONS}) AS f
        WHERE proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) AS a WHERE a.grantee = 0)
    """
    assert await names(owner, public) == []


async def test_security_definer_functions_pin_their_search_path(owner: Owner) -> None:
    unpinned = f"""
        SELECT proname FROM ({FUNCTIONS}) AS f WHERE prosecdef AND NOT EXISTS (
            SELECT FROM unnest(proconfig) AS setting
            WHERE setting ~ '^search_path=pg_catalog, ((telemetry|ops|ops, telemetry), )?pg_temp$')
    """
    assert await names(owner, unpinned) == []


async def test_the_service_may_execute_all_of_api_and_nothing_else(owner: Owner) -> None:
    allowed = f"""
        SELECT n.nspname || '.' || f.proname FROM ({FUNCTIONS}) AS f JOIN pg_namespace n ON n.oid = f.pronamespace
        WHERE has_function_privilege('energy_service', f.oid, 'EXECUTE')
    """
    in_api = "SELECT 'api.' || proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace"
    assert sorted(await names(owner, allowed)) == sorted(await names(owner, in_api))
    usable = f"""
        SELECT nspname FROM pg_namespace
        WHERE nspname IN {SCHEMAS} AND has_schema_privilege('energy_service', oid, 'USAGE')
    """
    assert await names(owner, usable) == ["api"]
    readable = f"""
        SELECT relname FROM ({TABLES}) AS t WHERE relkind IN ('r', 'v', 'm', 'p')
        AND has_table_privilege('energy_service', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
    """
    assert await names(owner, readable) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM telemetry.meter_telemetry_history",
        "DELETE FROM telemetry.vehicle_current_status",
        "SELECT telemetry.accepted_age('meter')",
        "SELECT * FROM ops.migration",
        "CREATE TABLE api.mine (id int)",
        "CREATE SCHEMA mine",
    ],
)
async def test_the_service_works_with_the_rights_of_energy_service_only(database: Database, statement: str) -> None:
    async with database.write.acquire() as connection:
        assert await connection.fetchval("SELECT current_user") == "energy_service"
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(statement)


async def test_the_services_sessions_commit_for_good_and_think_in_utc_whatever_the_servers_defaults(
    test_database: TestDatabase, owner: Owner
) -> None:
    name = await owner.fetchval("SELECT current_database()")
    if not test_database.is_embedded:  # whose one session has begun already
        await owner.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        await owner.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Kolkata'")
    try:
        async with open_database(test_database.url, connections=1) as fresh, fresh.write.acquire() as connection:
            settings = "SELECT current_user, current_setting('synchronous_commit'), current_setting('TimeZone')"
            async with connection.transaction():
                await connection.execute("SELECT api.ingest_meter_readings('{}')")
                assert tuple(await connection.fetchrow(settings)) == ("energy_service", "on", "UTC")
    finally:
        if not test_database.is_embedded:
            await owner.execute(f"ALTER DATABASE {name} RESET ALL")


async def test_every_code_file_defines_the_object_it_is_named_after(owner: Owner) -> None:
    files = {f"{path.parent.name}.{path.stem}" for schema in CODE_SCHEMAS for path in (SQL_DIR / schema).glob("*.sql")}
    defined = (
        f"SELECT n.nspname || '.' || f.proname FROM ({FUNCTIONS}) AS f JOIN pg_namespace n ON n.oid = f.pronamespace"
    )
    views = """
        SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname IN ('bi', 'ops', 'telemetry')
        AND viewname NOT IN (SELECT view_name FROM timescaledb_information.continuous_aggregates)
    """
    # state: a DBA may replace the first (sql/migrations/0004), the second makes aggregates (0010), the third is made by
    # ops.guard_chunks
    state = {"telemetry.default_meter_id", "ops.make_daily_aggregates", "ops.archive_guard"}
    state |= {"telemetry.count_api_key_change"}  # a trigger (0013)
    assert {*await names(owner, defined), *await names(owner, views)} - state == files


@pytest.mark.parametrize(
    "path", sorted(SQL_DIR.glob("[a-z]*/*.sql")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_code_file_reads_in_one_order(path) -> None:
    if path.parent.name == "migrations":
        return
    steps = [
        line.split(" ON ")[0].split(" EXECUTE")[0].split(" FUNCTION")[0]
        for line in path.read_text().splitlines()
        if re.match(r"-- |CREATE|REVOKE|GRANT|COMMENT", line)
    ]
    order = ["-- ", "CREATE OR REPLACE", "REVOKE", "GRANT", "COMMENT"]
    ranks = [next(i for i, word in enumerate(order) if step.startswith(word)) for step in steps]
    assert ranks == sorted(ranks), steps
    # a view is nobody's but its owner's from the start: there is nothing to revoke
    is_view = "\nCREATE OR REPLACE VIEW" in path.read_text()
    is_internal = path.parent.name == "telemetry"
    needed = {0, 1, 4} | ((set() if is_internal else {3}) if is_view else {2})
    assert set(ranks) >= needed, steps


async def test_histories_are_hypertables_of_one_day_chunks_with_a_columnstore_by_device(owner: Owner) -> None:
    dimensions = await owner.fetch(
        "SELECT hypertable_name, column_name, time_interval FROM timescaledb_information.dimensions "
        "WHERE hypertable_schema = 'telemetry' ORDER BY 1"
    )
    assert [(row[0], row[1], row[2].days) for row in dimensions] == [
        ("meter_telemetry_history", "counted_at", 1),
        ("rejected_reading", "received_at", 1),
        ("vehicle_telemetry_history", "counted_at", 1),
    ]
    settings = await owner.fetch(
        "SELECT hypertable::text, segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings "
        "WHERE hypertable::text LIKE 'telemetry.%_history' ORDER BY 1"
    )
    assert [tuple(row) for row in settings] == [
        ("telemetry.meter_telemetry_history", "meter_id", "counted_at DESC"),
        ("telemetry.vehicle_telemetry_history", "vehicle_id", "counted_at DESC"),
    ]


async def test_histories_and_status_tables_have_no_index_but_the_primary_key(owner: Owner) -> None:
    indexes = await owner.fetch(
        "SELECT tablename, array_agg(indexname::text) FROM pg_indexes WHERE schemaname = 'telemetry' "
        "AND tablename ~ '(history|status)$' GROUP BY 1 ORDER BY 1"
    )
    tables = ["meter_current_status", "meter_telemetry_history", "vehicle_current_status", "vehicle_telemetry_history"]
    assert [tuple(row) for row in indexes] == [(table, [f"{table}_pkey"]) for table in tables]


async def test_policies_are_the_ones_that_were_meant(owner: Owner) -> None:
    jobs = await owner.fetch(
        "SELECT coalesce(config ->> 'object', 'telemetry.' || hypertable_name), proc_name, "
        "coalesce(config ->> 'compress_after', config ->> 'drop_after') FROM timescaledb_information.jobs "
        "WHERE hypertable_schema = 'telemetry' OR config ->> 'object' LIKE 'telemetry.%' ORDER BY 1, 2"
    )
    assert [tuple(row) for row in jobs] == [
        ("telemetry.alert", "drop_closed_alerts", "2 years"),
        ("telemetry.alert", "run_alert_evaluation", None),
        ("telemetry.meter_telemetry_history", "drop_due_chunks", "2 years"),
        ("telemetry.meter_telemetry_history", "policy_compression", "3 days"),
        ("telemetry.rejected_reading", "drop_due_chunks", "30 days"),
        ("telemetry.vehicle_telemetry_history", "drop_due_chunks", "2 years"),
        ("telemetry.vehicle_telemetry_history", "policy_compression", "3 days"),
    ]


async def test_a_vehicle_has_one_meter_and_a_meter_one_vehicle_at_a_time(owner: Owner) -> None:
    insert = "INSERT INTO telemetry.vehicle_meter_link VALUES ($1, $2, $3::text::tstzrange)"
    await owner.execute(insert, "EV-x", "meter-x", "[2026-01-01Z, 2026-02-01Z)")
    await owner.execute(insert, "EV-x", "meter-y", "[2026-02-01Z, 2026-03-01Z)")
    for wrong in (
        ("EV-x", "meter-z", "[2026-01-15Z, 2026-01-16Z)", "vehicle_has_one_meter_at_a_time"),
        ("EV-z", "meter-x", "[2026-01-15Z, 2026-01-16Z)", "meter_feeds_one_vehicle_at_a_time"),
        ("EV-z", "meter-z", "[2026-01-15Z, 2026-01-16Z]", "during_is_half_open"),
        ("EV-z", "meter-z", "empty", "during_is_half_open"),
    ):
        with pytest.raises(Exception, match=wrong[3]):
            await owner.execute(insert, *wrong[:3])
