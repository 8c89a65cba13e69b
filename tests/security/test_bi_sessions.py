"""BI sessions: none keeps a reading, a job or a migration waiting, fills the disk, or takes every connection."""

import asyncio
import contextlib
import hashlib
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from service.database import migrate as migration
from service.database.migrate import BI_CONNECTIONS, make_login, migrate, set_time_zone
from service.database.migrations import SQL_DIR
from service.errors import StartupError
from service.settings import Settings
from tests.support import Api, Owner, TestDatabase, meter_reading, now, pools_of, run_migrated_database, served

Connection = psycopg.Connection[Any]

CHUNKS = "SELECT count(*) FROM ops.chunk_list WHERE object = 'telemetry.meter_telemetry_history'"
IN_THE_WAY = ["SELECT * FROM bi.meter_hourly", "SELECT * FROM bi.vehicle_efficiency_daily"]
SLOWEST_S = 2.0
"""Longest time of a POST while a job or a migration does not get its locks."""


@pytest.fixture(scope="module")
def server(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as another:
        yield another


@pytest.fixture
def admin(server: TestDatabase) -> Iterator[Connection]:
    with psycopg.connect(server.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        yield connection
        for setting in ("transaction_for", "idle_for", "blocking_for", "ended", "last_ended_at", "last_ended"):
            connection.execute(f"UPDATE ops.bi_session_limit SET {setting} = DEFAULT")


@pytest.fixture
def login(admin: Connection, server: TestDatabase) -> Iterator[str]:
    name = f"bi_{uuid.uuid4().hex[:12]}"
    make_login(server.url, name, "secret1", "energy_bi")
    yield name
    admin.execute(f"DROP ROLE {name}")


def bi_url(server: TestDatabase, login: str) -> str:
    return re.sub(r"//[^@/]*@", f"//{login}:secret1@", server.url)


@contextlib.contextmanager
def bi_session(server: TestDatabase, login: str, *statements: str) -> Iterator[Connection]:
    """A session of BI with every setting that it can change, within a transaction that has run `statements`."""
    with contextlib.closing(psycopg.connect(bi_url(server, login))) as connection:
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            connection.execute(f"SET {setting} = 0")
        connection.execute("SET default_transaction_read_only = off")
        connection.commit()
        for statement in statements:
            connection.execute(statement)
        yield connection


def is_alive(admin: Connection, session: Connection) -> bool:
    """True if the session is there, after a moment in which it may end."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    until = time.monotonic() + 0.5
    while (alive := admin.execute(query, [session.info.backend_pid]).fetchone() == (1,)) and time.monotonic() < until:
        time.sleep(0.02)
    return alive


def end_sessions(admin: Connection) -> None:
    """One run of the job."""
    [job] = admin.execute("SELECT job_id FROM ops.policy_job WHERE duty = 'watch'").fetchone() or [None]
    admin.execute(f"CALL run_job({job})")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT pg_advisory_unlock_all()",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_logical_emit_message(FALSE, 'a', repeat('b', 1000000))",
        "CREATE TEMPORARY TABLE t AS SELECT 1",
    ],
)
async def test_a_bi_login_takes_no_advisory_lock_and_writes_nothing_to_the_disk(owner: Owner, statement: str) -> None:
    async with owner.undone() as connection:
        await connection.execute("SET LOCAL ROLE energy_bi")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize("role", ["energy_bi", "energy_service", "energy_dba"])
async def test_no_login_may_execute_a_function_that_disturbs_the_engine(owner: Owner, role: str) -> None:
    functions = await owner.fetch(
        "SELECT p.oid::regprocedure::text AS name, has_function_privilege($1, p.oid, 'EXECUTE') AS may,"
        " has_function_privilege('energy_owner', p.oid, 'EXECUTE') AS owner_may FROM pg_proc AS p"
        " WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ 'advisory|^lo_|emit_message'"
        " AND p.proname NOT IN ('lo_import', 'lo_export')",  # nobody may, by PostgreSQL's own default
        role,
    )
    assert len(functions) >= 35
    assert [row["name"] for row in functions if row["may"] or not row["owner_may"]] == []


@pytest.mark.parametrize("role", ["energy_bi", "energy_service", "energy_dba"])
async def test_no_login_may_call_a_function_that_locks_the_history_before_it_looks_at_rights(
    owner: Owner, role: str
) -> None:
    functions = await owner.fetch(
        "SELECT p.oid::regprocedure::text AS name, has_function_privilege($1, p.oid, 'EXECUTE') AS may,"
        " has_function_privilege('energy_owner', p.oid, 'EXECUTE') AS owner_may FROM pg_proc AS p"
        " WHERE p.proname IN ('attach_chunk', 'detach_chunk', 'merge_chunks', 'split_chunk')",
        role,
    )
    assert len(functions) >= 4
    assert [row["name"] for row in functions if row["may"] or not row["owner_may"]] == []


async def test_rights_that_every_login_has_are_named_until_a_superuser_revokes_them(owner: Owner) -> None:
    named = "SELECT string_agg(finding, ' | ' ORDER BY finding) FROM ops.diagnose() WHERE topic = 'rights'"
    async with owner.undone() as connection:
        assert await connection.fetchval(named) is None
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute("GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint), lo_create(oid) TO PUBLIC")
        await connection.execute(f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC")
        await connection.execute("REVOKE pg_signal_backend FROM energy_owner")
        found = await connection.fetchval(named)
        for words in (
            "may take advisory locks, by 1",
            "may make large objects, by 1",
            "temporary",
            "pg_signal_backend",
        ):
            assert words in found
        await connection.execute("SELECT ops.secure_database()")
        assert await connection.fetchval(named) is None


def test_a_bi_login_has_limits_which_a_dba_may_change_and_no_migration_undoes(
    server: TestDatabase, admin: Connection, login: str
) -> None:
    query = "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = %s"
    [limit, settings] = admin.execute(query, [login]).fetchone() or []
    assert limit == BI_CONNECTIONS == 20
    assert set(settings) == {
        "statement_timeout=60s",
        "default_transaction_read_only=on",
        "idle_in_transaction_session_timeout=1min",
    }
    admin.execute(f"ALTER ROLE {login} CONNECTION LIMIT 3")
    make_login(server.url, login, "secret2", "energy_bi")
    assert (admin.execute(query, [login]).fetchone() or [])[0] == 3


def test_a_bi_login_has_a_limit_on_the_disk_that_it_cannot_change_and_no_migration_undoes(
    server: TestDatabase, admin: Connection, login: str
) -> None:
    query = (
        "SELECT s.setconfig FROM pg_db_role_setting AS s"
        " JOIN pg_database AS d ON d.oid = s.setdatabase"
        " WHERE s.setrole = %s::regrole AND d.datname = current_database()"
    )
    [settings] = admin.execute(query, [login]).fetchone() or [[]]
    assert "temp_file_limit=2GB" in settings
    [context] = admin.execute("SELECT context FROM pg_settings WHERE name = 'temp_file_limit'").fetchone() or [None]
    assert context == "superuser"
    database = admin.execute("SELECT quote_ident(current_database())").fetchone() or [""]
    admin.execute(f"ALTER ROLE {login} IN DATABASE {database[0]} SET temp_file_limit = '5MB'")
    admin.execute("SELECT ops.secure_database()")
    [settings] = admin.execute(query, [login]).fetchone() or [[]]
    assert "temp_file_limit=5MB" in settings


@pytest.mark.concurrent
def test_a_result_of_bi_beyond_its_limit_on_the_disk_is_refused(
    server: TestDatabase, admin: Connection, login: str
) -> None:
    database = admin.execute("SELECT quote_ident(current_database())").fetchone() or [""]
    admin.execute(f"ALTER ROLE {login} IN DATABASE {database[0]} SET temp_file_limit = '5MB'")
    with bi_session(server, login) as session, pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        session.execute(
            "SELECT count(*) FROM (SELECT repeat('x', 100) || n FROM generate_series(1, 1000000) AS n ORDER BY 1) AS s"
        )


def test_a_bi_login_without_a_connection_limit_is_named(admin: Connection, login: str) -> None:
    named = f"SELECT count(*) FROM ops.diagnose() WHERE finding LIKE '%ALTER ROLE {login} CONNECTION LIMIT%'"
    assert admin.execute(named).fetchone() == (0,)
    admin.execute(f"ALTER ROLE {login} CONNECTION LIMIT -1")
    assert admin.execute(named).fetchone() == (1,)


@pytest.mark.parametrize("limit", ["transaction_for", "idle_for", "blocking_for"])
def test_a_dba_sets_the_limits_of_bi_sessions_but_none_to_nothing(admin: Connection, limit: str) -> None:
    with admin.transaction():
        admin.execute("SET LOCAL ROLE energy_dba")
        admin.execute(f"UPDATE ops.bi_session_limit SET {limit} = '7 minutes'")
    assert admin.execute(f"SELECT {limit}::text FROM ops.bi_session_limit").fetchone() == ("00:07:00",)
    with pytest.raises(psycopg.errors.CheckViolation, match=f"{limit}_is_longer_than_0"):
        admin.execute(f"UPDATE ops.bi_session_limit SET {limit} = '0'")


def test_a_login_with_more_rights_than_bi_is_none_of_bi(admin: Connection, login: str) -> None:
    asks = f"SELECT ops.is_bi_login('{login}'::regrole)"
    for role in ("energy_owner", "energy_service", "energy_dba"):
        assert admin.execute(asks).fetchone() == (True,)
        admin.execute(f"GRANT {role} TO {login}")
        assert admin.execute(asks).fetchone() == (False,), role
        admin.execute(f"REVOKE {role} FROM {login}")
    admin.execute(f"ALTER ROLE {login} SUPERUSER")
    assert admin.execute(asks).fetchone() == (False,)
    assert admin.execute("SELECT ops.is_bi_login(NULL)").fetchone() == (False,)


@pytest.mark.concurrent
@pytest.mark.parametrize(
    ("limit", "reason"), [("transaction_for", "a transaction of more than"), ("idle_for", "idle in a transaction")]
)
def test_a_session_beyond_its_limit_is_ended_and_the_dba_sees_it(
    server: TestDatabase, admin: Connection, login: str, limit: str, reason: str
) -> None:
    with bi_session(server, login, "SELECT * FROM bi.meter_hourly") as session:
        end_sessions(admin)
        assert is_alive(admin, session)
        admin.execute(f"UPDATE ops.bi_session_limit SET {limit} = '300 ms'")
        end_sessions(admin)
        assert not is_alive(admin, session)
    seen = admin.execute("SELECT ended, last_ended FROM ops.bi_session_limit").fetchone() or ()
    assert seen[0] == 1
    assert f"of {login}: {reason}" in seen[1]
    [finding] = admin.execute("SELECT finding FROM ops.diagnose() WHERE topic = 'sessions'").fetchone() or ("",)
    assert f"of {login}: {reason}" in finding


@pytest.mark.concurrent
def test_neither_a_session_without_a_transaction_nor_one_with_more_rights_than_bi_is_ended(
    server: TestDatabase, admin: Connection, login: str
) -> None:
    admin.execute("UPDATE ops.bi_session_limit SET transaction_for = '1 ms', idle_for = '1 ms'")
    with bi_session(server, login) as session:
        end_sessions(admin)
        assert is_alive(admin, session)
    admin.execute(f"GRANT energy_dba TO {login}")
    with bi_session(server, login, "SELECT * FROM bi.meter_hourly") as session:
        end_sessions(admin)
        assert is_alive(admin, session)


@pytest.mark.concurrent
@pytest.mark.parametrize("waits", ["engine", "bi"])
def test_a_session_of_bi_that_others_wait_for_is_ended(
    server: TestDatabase, admin: Connection, login: str, waits: str
) -> None:
    admin.execute("UPDATE ops.bi_session_limit SET blocking_for = '200 ms'")
    admin.execute("GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO energy_bi")
    try:
        with bi_session(server, login, "SELECT pg_advisory_xact_lock(1)") as session:
            url = server.url if waits == "engine" else bi_url(server, login)
            with contextlib.closing(psycopg.connect(url, autocommit=True)) as waiting:
                waiting.pgconn.send_query(b"SELECT pg_advisory_xact_lock(1)")
                time.sleep(0.5)
                end_sessions(admin)
                assert is_alive(admin, session) == (waits == "bi")
    finally:
        admin.execute("REVOKE EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) FROM energy_bi")


@pytest.mark.concurrent
def test_a_migration_names_the_session_that_holds_its_lock(
    server: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_PATIENCE", "200ms")
    with psycopg.connect(server.url, application_name="the other one") as connection:
        connection.execute(f"SELECT pg_advisory_lock({migration._LOCK_KEY})")
        with pytest.raises(StartupError, match=f"process {connection.info.backend_pid} of .*the other one"):
            migrate(server.url)


@contextlib.asynccontextmanager
async def posting(server: TestDatabase) -> AsyncIterator[list[float]]:
    """Send a reading of a new meter every 50 ms; each is stored. Yields the seconds that each took."""
    took: list[float] = []

    async def post(api: Api) -> None:
        for number in range(10_000):
            began = time.monotonic()
            response = await api.post("/v1/ingest/meter", meter_reading(f"M-{number}", now()))
            took.append(time.monotonic() - began)
            assert response.status_code == 201, response.text
            await asyncio.sleep(0.05)

    async with pools_of(server) as database, served(database, Settings()) as api:
        task = asyncio.create_task(post(api))
        try:
            yield took
            await asyncio.sleep(0.2)
            assert not task.done(), task.exception()
        finally:
            task.cancel()


def with_a_migration(folder: Path) -> Path:
    """The SQL of a version that changes the histories."""
    copy = shutil.copytree(SQL_DIR, folder / "sql")
    added = copy / "migrations" / "9999_change.sql"
    added.write_text(
        "SET LOCAL ROLE energy_owner;\n"
        "ALTER TABLE telemetry.vehicle_current_status SET (fillfactor = 60);\n"
        "LOCK TABLE telemetry.meter_telemetry_history IN ACCESS EXCLUSIVE MODE;\n"
    )
    with (copy / "migrations" / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(added.read_bytes()).hexdigest()}  {added.name}\n")
    return copy


@pytest.mark.concurrent
async def test_readings_are_stored_while_a_migration_is_kept_from_its_locks_and_then_it_is_done(
    server: TestDatabase, admin: Connection, login: str, tmp_path: Path
) -> None:
    sql_dir = with_a_migration(tmp_path)
    store_old_readings(admin)
    async with posting(server) as took:
        while not took:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        with bi_session(server, login, *IN_THE_WAY) as session:
            assert await asyncio.to_thread(migrate, server.url, sql_dir) == ["9999_change"]
            assert not is_alive(admin, session)
    assert len(took) > 20
    assert max(took) < SLOWEST_S
    assert admin.execute("SELECT ended FROM ops.bi_session_limit").fetchone() == (1,)
    admin.execute("DELETE FROM ops.migration WHERE migration_id = '9999_change'")


@pytest.mark.concurrent
def test_a_migration_that_does_not_get_its_locks_names_their_holders(
    server: TestDatabase, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_LOCK_PATIENCE_S", 0.1)
    with bi_session(server, login, *IN_THE_WAY) as session:
        holder = f"process {session.info.backend_pid} of {login} .*idle in transaction"
        with pytest.raises(StartupError, match=holder):
            migrate(server.url)


@pytest.mark.concurrent
def test_another_time_zone_is_not_kept_waiting_either(
    server: TestDatabase, admin: Connection, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_POLITE_TRIES", 1)
    admin.execute("UPDATE ops.bi_session_limit SET blocking_for = '100 ms'")
    with bi_session(server, login, "SELECT * FROM bi.meter_daily") as session:
        set_time_zone(server.url, "Europe/Berlin")
        assert not is_alive(admin, session)
    assert admin.execute("SELECT time_zone FROM telemetry.fleet").fetchone() == ("Europe/Berlin",)


def store_old_readings(admin: Connection) -> None:
    admin.execute(
        "INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage)"
        " SELECT 'M-old', now() - days * INTERVAL '1 day', 0.1, 230 FROM unnest(ARRAY[0, 5, 900, 901]) AS days"
        " ON CONFLICT DO NOTHING"
    )


def job_outcome(admin: Connection, duty: str) -> tuple[str, str | None]:
    """Run a job of the meters' history in TimescaleDB's worker; its health and error afterwards."""
    where = "object = 'telemetry.meter_telemetry_history' AND duty = %s"
    query = f"SELECT job_id, last_started_at FROM ops.job_health WHERE {where}"
    [job, before] = admin.execute(query, [duty]).fetchone() or [None, None]
    admin.execute("SELECT alter_job(%s, scheduled => TRUE, next_start => now())", [job])
    query = (
        f"SELECT health, last_error FROM ops.job_health WHERE {where} AND last_started_at IS DISTINCT FROM %s"
        " AND last_duration IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE '%%' || job_id || '%%')"
    )
    until = time.monotonic() + 60
    while (row := admin.execute(query, [duty, before]).fetchone()) is None:
        assert time.monotonic() < until, "the job did not run within a minute"
        time.sleep(0.1)
    admin.execute("SELECT alter_job(%s, scheduled => FALSE)", [job])
    return row[0], row[1]


@pytest.mark.concurrent
@pytest.mark.parametrize("duty", ["drop", "compress"])
async def test_readings_are_stored_while_a_job_is_kept_from_its_locks_which_works_at_its_next_run(
    server: TestDatabase, admin: Connection, login: str, duty: str
) -> None:
    store_old_readings(admin)
    for kind in ("meter", "vehicle"):
        admin.execute("CALL ops.refresh_aggregates(NULL, jsonb_build_object('kind', %s::text))", [kind])
    admin.execute("SELECT _timescaledb_functions.start_background_workers()")
    admin.execute("GRANT USAGE ON SCHEMA telemetry TO energy_bi")
    admin.execute("GRANT SELECT ON telemetry.meter_telemetry_history TO energy_bi")
    try:
        async with posting(server) as took:
            with bi_session(server, login, *IN_THE_WAY, "SELECT * FROM telemetry.meter_telemetry_history") as session:
                health, error = await asyncio.to_thread(job_outcome, admin, duty)
                assert health == "failing"
                if duty == "drop":
                    assert "its lock could not be had" in (error or "")
                    assert f"process {session.info.backend_pid} of {login}" in (error or "")
                session.rollback()
                assert await asyncio.to_thread(job_outcome, admin, duty) == ("ok", None)
    finally:
        admin.execute("REVOKE SELECT ON telemetry.meter_telemetry_history FROM energy_bi")
        admin.execute("REVOKE USAGE ON SCHEMA telemetry FROM energy_bi")
    assert len(took) > 20
    assert max(took) < SLOWEST_S, took
    due = {
        "drop": "range_end < now() - INTERVAL '2 years'",
        "compress": "range_end < now() - INTERVAL '3 days' AND NOT is_compressed",
    }
    assert admin.execute(f"{CHUNKS} AND {due[duty]}").fetchone() == (0,)
