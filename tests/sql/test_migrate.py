"""Migrations: once, all or nothing, never edited, and one migrator at a time."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from service.database.migrate import migrate
from service.database.migrations import (
    CODE_SCHEMAS,
    NEWEST_MIGRATION,
    SQL_DIR,
    check_applied,
    code_files,
    known_migrations,
)
from service.database.server import Server, inspect_server
from service.errors import StartupError
from tests.support import ROOT, Owner, TestDatabase

pytestmark = pytest.mark.long

CATALOGUE = """
    SELECT 'relation', c.oid::text, c.relname, c.relfilenode::text,
        CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) ELSE c.xmin::text END, coalesce(c.relacl::text, '')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('telemetry', 'api', 'bi', 'ops') AND c.relkind IN ('r', 'c', 'v')
    UNION ALL SELECT 'column', attrelid::text, attname, atttypid::text, a.xmin::text, ''
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('telemetry', 'api', 'bi', 'ops')
    UNION ALL SELECT 'function', p.oid::text, proname, prosrc, coalesce(proacl::text, ''), proconfig::text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('telemetry', 'api', 'bi', 'ops')
    UNION ALL SELECT 'migration', migration_id, sha256, applied_at::text, '', '' FROM ops.migration
    UNION ALL SELECT 'job', job_id::text, proc_name, config::text, '', '' FROM timescaledb_information.jobs
    ORDER BY 1, 2, 3
"""


def query(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def sql_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SQL_DIR, tmp_path / "sql"))


@pytest.fixture
async def url(test_database: TestDatabase, owner: Owner) -> AsyncIterator[str]:
    """The migrated database of the run; on the embedded one, whose connections share a session, with every right."""
    async with owner.connection():
        yield test_database.url


def add_migration(sql_dir: Path, name: str, statements: str) -> None:
    (sql_dir / "migrations" / f"{name}.sql").write_text(statements)
    freeze(sql_dir)


def freeze(sql_dir: Path) -> None:
    folder = sql_dir / "migrations"
    sums = subprocess.run("sha256sum *.sql", shell=True, cwd=folder, capture_output=True, check=True)  # noqa: S602
    (folder / "SHA256SUMS").write_bytes(sums.stdout)


@pytest.fixture
def database_errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors of the server, each of which stands in its log, whether or not somebody goes on after it."""
    errors: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(*arguments, **options):
        try:
            return execute(*arguments, **options)
        except psycopg.Error as error:
            errors.append(str(error))
            raise

    monkeypatch.setattr(psycopg.Cursor, "execute", noting)
    return errors


def test_a_fresh_database_gets_every_migration_once_and_in_order(
    empty_database: TestDatabase, database_errors: list[str]
) -> None:
    before = asyncio.run(inspect_server(empty_database.url))
    assert (before.schema_version, before.migrations) == (None, {})
    assert migrate(empty_database.url) == sorted(known_migrations())
    after = asyncio.run(inspect_server(empty_database.url))
    assert (after.schema_version, after.migrations) == (NEWEST_MIGRATION, known_migrations())

    # a second time changes nothing: no table is rewritten or altered, no function, right, policy or record changes
    catalogue = query(empty_database.url, CATALOGUE)
    assert migrate(empty_database.url) == []
    assert query(empty_database.url, CATALOGUE) == catalogue
    assert database_errors == []


def test_code_files_come_after_those_they_name_but_in_comments_and_strings(tmp_path: Path) -> None:
    for name, text in {
        "api/a.sql": "-- bi.c\nSELECT telemetry.z(), ops.none()",
        "telemetry/z.sql": "SELECT bi.c, telemetry.z; COMMENT ON FUNCTION telemetry.z IS 'api.a, it''s ops.b'",
        "bi/c.sql": "",
        "ops/b.sql": "SELECT api.a()",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    assert [path.stem for path in code_files(tmp_path)] == ["c", "z", "a", "b"]
    (tmp_path / "bi/c.sql").write_text("SELECT ops.b()")
    with pytest.raises(StartupError, match=r"need each other: .*bi\.c"):
        code_files(tmp_path)


def test_a_first_migrate_that_was_killed_halfway_is_finished_by_the_next(
    empty_database: TestDatabase, sql_copy: Path
) -> None:
    for path in sorted((sql_copy / "migrations").glob("*.sql"))[2:]:
        path.unlink()
    for schema in CODE_SCHEMAS:
        shutil.rmtree(sql_copy / schema, ignore_errors=True)
    freeze(sql_copy)
    assert migrate(empty_database.url, sql_copy) == sorted(known_migrations())[:2]
    assert asyncio.run(inspect_server(empty_database.url)).schema_version is None
    assert migrate(empty_database.url) == sorted(known_migrations())[2:]


def test_a_function_that_was_damaged_is_put_right_by_the_next_migrate(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP FUNCTION api.get_meter_status(text)")
    assert migrate(url) == []
    assert query(url, "SELECT to_regproc('api.get_meter_status') IS NOT NULL") == [(True,)]


RULE = "SELECT pg_get_functiondef('telemetry.default_meter_id(text)'::regprocedure)"
RULE_0004 = re.search(
    r"CREATE FUNCTION telemetry\.default_meter_id.*?\n\$\$;",
    (SQL_DIR / "migrations" / "0004_vehicle_meter_link.sql").read_text(),
    re.DOTALL,
)[0]
HEAD = "CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text LANGUAGE sql STABLE "


@pytest.fixture
def rule(url: str) -> Iterator[psycopg.Connection]:
    """A connection that may replace the rule of default meters, which is as it was afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(original,)] = connection.execute(RULE).fetchall()
        yield connection
        connection.execute(original)


def has_own_rule(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT telemetry.has_own_meter_rule()").fetchone()[0]


@pytest.mark.parametrize(
    "body",
    [
        "AS $$ SELECT 'Mours' $$",
        "RETURN 'Mours'",
        "RETURN coalesce(telemetry.standard_meter_id(p_vehicle_id), 'Mours')",
        "BEGIN ATOMIC SELECT telemetry.standard_meter_id(p_vehicle_id || 'x'); END",
        "AS $$ SELECT telemetry.standard_meter_id(p_vehicle_id) $$",
    ],
)
def test_any_rule_that_a_dba_puts_for_the_default_meter_is_known_as_the_fleets_own(
    rule: psycopg.Connection, body: str
) -> None:
    assert not has_own_rule(rule)
    [(original,)] = rule.execute(RULE).fetchall()
    rule.execute(HEAD + body)
    assert has_own_rule(rule)
    rule.execute(original)
    assert not has_own_rule(rule), "and the standard one again, as it stood"


def test_what_a_dba_put_for_the_default_meter_survives_a_migrate(url: str, rule: psycopg.Connection) -> None:
    rule.execute(HEAD + "AS $$ SELECT 'Mours' $$")
    migrate(url)
    assert "Mours" in rule.execute(RULE).fetchone()[0]
    assert has_own_rule(rule)


@pytest.mark.parametrize("is_own", [False, True])
def test_a_rule_from_before_the_flag_becomes_the_standard_one_or_stays_the_fleets_own(
    rule: psycopg.Connection, is_own: bool
) -> None:
    before = RULE_0004.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    rule.execute(before.replace("LIMIT 1", "LIMIT 1 -- ours") if is_own else before)
    assert has_own_rule(rule)
    migration = (SQL_DIR / "migrations" / "0016_standard_meter_rule.sql").read_text()
    with rule.transaction():
        rule.execute(migration.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
        rule.execute("RESET ROLE")
    assert has_own_rule(rule) == is_own
    assert ("-- ours" in rule.execute(RULE).fetchone()[0]) == is_own


def test_an_edited_migration_file_is_refused_before_the_database_is_asked(sql_copy: Path) -> None:
    path = sql_copy / "migrations" / "0003_current_status.sql"
    path.write_text(path.read_text() + "\n-- edited\n")
    with pytest.raises(StartupError, match=r"0003_current_status is not as it landed .* new migration"):
        known_migrations(sql_copy)


def test_a_removed_or_an_unlisted_migration_file_is_refused(sql_copy: Path) -> None:
    (sql_copy / "migrations" / "0003_current_status.sql").unlink()
    with pytest.raises(StartupError, match="0003_current_status"):
        known_migrations(sql_copy)
    shutil.copy(SQL_DIR / "migrations" / "0003_current_status.sql", sql_copy / "migrations")
    (sql_copy / "migrations" / "0099_new.sql").write_text("SELECT 1;")
    with pytest.raises(StartupError, match="0099_new"):
        known_migrations(sql_copy)


def test_a_migration_edited_after_this_database_applied_it_is_refused(url: str, sql_copy: Path) -> None:
    path = sql_copy / "migrations" / "0003_current_status.sql"
    add_migration(sql_copy, "0003_current_status", path.read_text() + "\n-- edited, and the sum as well\n")
    with pytest.raises(StartupError, match="0003_current_status was edited after this database had applied it"):
        migrate(url, sql_copy)


def test_a_database_that_is_ahead_is_left_alone() -> None:
    known = known_migrations()
    with pytest.raises(StartupError, match="0099_from_the_future, which this version does not know"):
        check_applied(known, {**known, "0099_from_the_future": "0" * 64})


def test_a_failing_migration_leaves_nothing_behind_and_can_be_mended(url: str, sql_copy: Path) -> None:
    add_migration(sql_copy, "9001_half", "CREATE TABLE ops.half (id int);\nSELECT 1 / 0;\n")
    with pytest.raises(StartupError, match="division by zero"):
        migrate(url, sql_copy)
    assert query(url, "SELECT to_regclass('ops.half') IS NULL, max(migration_id) FROM ops.migration") == [
        (True, NEWEST_MIGRATION)
    ]
    assert migrate(url) == []


def test_a_broken_code_file_names_itself_and_leaves_the_old_code(url: str, sql_copy: Path) -> None:
    (sql_copy / "api" / "get_meter_status.sql").write_text("CREATE OR REPLACE FUNCTION api.get_meter_status( oops")
    (sql_copy / "api" / "a_new_one.sql").write_text(
        "CREATE OR REPLACE FUNCTION api.a_new_one() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    with pytest.raises(StartupError, match=r"sql/api/get_meter_status\.sql: syntax error"):
        migrate(url, sql_copy)
    assert query(url, "SELECT to_regproc('api.a_new_one') IS NULL") == [(True,)]


def test_the_lock_a_killed_migrator_left_behind_blocks_nobody(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO yoyo.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(url) == []


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server("17.5", None, None, None, {}), "no TimescaleDB"),
        (Server("17.5", "2.28.3", "timescale", None, {}), "2.28.3 is too old: 2.29"),
        (Server("17.5", "1.7.5", "timescale", None, {}), "too old"),
        (Server("17.5", "2.29.2", "apache", None, {}), "Apache edition"),
        (Server("17.5", "2.23.0-dev", "timescale", None, {}), None),
        (Server("18.4", "2.29.2", None, None, {}), None),
        (Server("18.4", "10.0.0", "timescale", None, {}), None),
    ],
    ids=str,
)
def test_a_server_that_cannot_carry_the_engine_is_told_apart(server: Server, words: str | None) -> None:
    fault = server.fault()
    assert (fault is None) == (words is None)
    assert words is None or words in str(fault)


@pytest.mark.concurrent
def test_the_apache_edition_is_refused_in_plain_words_and_nothing_is_made(empty_database: TestDatabase) -> None:
    name = empty_database.url.rpartition("/")[2]
    with psycopg.connect(empty_database.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET timescaledb.license = 'apache'")
    with pytest.raises(StartupError, match="Apache edition of TimescaleDB"):
        migrate(empty_database.url)
    assert query(empty_database.url, "SELECT to_regnamespace('telemetry') IS NULL") == [(True,)]


@pytest.mark.concurrent
def test_ten_migrators_at_once_do_it_once(empty_database: TestDatabase) -> None:
    command = [sys.executable, "-m", "service.cli", "migrate"]
    environment = {"DATABASE_URL": empty_database.url, "PATH": "/usr/bin:/bin"}

    def one(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(one, range(10)))
    assert [result.stderr for result in results if result.returncode] == []
    assert sum("applied 0001" in result.stdout for result in results) == 1
    assert sum("nothing to apply" in result.stdout for result in results) == 9
    assert len(query(empty_database.url, "SELECT FROM ops.migration")) == len(known_migrations())
