"""BI logins: their settings, and the relations that the navigators of BI tools list."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy

from service.database.migrate import make_login, migrate, set_time_zone
from tests.bi.conftest import BiDatabase, run_bi_login
from tests.bi.test_clients import sqlalchemy_url
from tests.support import TestDatabase, run_migrated_database

LISTED = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema NOT IN ('information_schema', 'pg_catalog')
"""
"""The relations that Power BI's navigator and ODBC drivers list."""

READABLE = """
    SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bi')
        AND n.nspname NOT LIKE 'pg\\_%' AND has_table_privilege(c.oid, 'SELECT')
"""


def ask(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return connection.execute(query).fetchall()


def test_navigators_list_the_relations_of_bi_and_no_other(bi_database: BiDatabase) -> None:
    listed = ask(bi_database.url, LISTED)
    assert {schema for schema, _ in listed} == {"bi"}
    [(relations,)] = ask(bi_database.url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'bi'::regnamespace")
    assert len(listed) == relations > 17
    assert ask(bi_database.url, READABLE) == []


def test_the_inspector_of_sqlalchemy_and_superset_finds_every_relation_of_bi(bi_database: BiDatabase) -> None:
    engine = sqlalchemy.create_engine(sqlalchemy_url(bi_database))
    views = sqlalchemy.inspect(engine).get_view_names(schema="bi")
    engine.dispose()
    assert sorted(views) == sorted(name for _, name in ask(bi_database.url, LISTED))


def test_who_keeps_the_database_still_reads_timescaledbs_own_relations(test_database: TestDatabase) -> None:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True, prepare_threshold=None) as connection,
    ):
        for role in ("energy_owner", "energy_dba", "pg_monitor", "pg_database_owner"):
            for relation in ("timescaledb_information.jobs", "_timescaledb_catalog.chunk"):
                row = connection.execute("SELECT has_table_privilege(%s, %s, 'SELECT')", [role, relation]).fetchone()
                assert row == (True,), (role, relation)


@pytest.fixture
def another(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database, "Europe/Berlin") as database:
        yield database


@pytest.mark.concurrent  # logins, and settings of theirs
def test_a_session_of_a_bi_login_finds_bi_and_the_days_of_the_fleet(another: TestDatabase) -> None:
    settings = "SELECT current_setting('search_path'), current_setting('TimeZone')"
    with run_bi_login(another) as reader:
        assert ask(reader.url, settings) == [("bi, public", "Europe/Berlin")]
        assert ask(reader.url, "SELECT count(*), time_bucket('1 day', now()) IS NULL FROM meter_daily") == [(0, False)]
        set_time_zone(another.url, "Asia/Tokyo")
        assert ask(reader.url, settings) == [("bi, public", "Asia/Tokyo")]
        assert {schema for schema, _ in ask(reader.url, LISTED)} == {"bi"}  # of aggregates made anew


@pytest.mark.concurrent
def test_a_login_from_before_gets_the_settings_and_keeps_those_that_a_dba_chose(another: TestDatabase) -> None:
    settings = "SELECT current_setting('search_path'), current_setting('TimeZone')"
    with run_bi_login(another) as reader:
        login = psycopg.conninfo.conninfo_to_dict(reader.url)["user"]
        with psycopg.connect(another.url, autocommit=True) as administration:
            database = administration.info.dbname
            administration.execute(f"ALTER ROLE {login} IN DATABASE {database} RESET ALL")
            administration.execute(f"ALTER ROLE {login} SET TimeZone = 'UTC'")
        assert ask(reader.url, settings)[0][1] == "UTC"
        migrate(another.url)
        assert ask(reader.url, settings) == [("bi, public", "UTC")]
        set_time_zone(another.url, "Asia/Tokyo")
        assert ask(reader.url, settings) == [("bi, public", "UTC")]
        make_login(another.url, login, "secret1", "energy_bi")
        assert ask(reader.url, settings) == [("bi, public", "UTC")]
