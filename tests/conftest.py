"""One place decides which database the tests use: TEST_DATABASE_URL, else Docker, else the embedded one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.database.pool import Database
from service.embedded.install import ensure_charts, ensure_installed
from service.errors import StartupError
from service.settings import Settings
from tests.dashboard.axe import ensure_axe
from tests.support import (
    Api,
    Owner,
    Pair,
    TestDatabase,
    answers,
    new_pair,
    owner_of,
    pools_of,
    run_another_database,
    run_migrated_database,
    run_test_database,
    served,
    templates,
)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # once, before there are several processes that would do it
        # and here, with the user's own npm settings; tests start processes without them
        ensure_installed()
        with contextlib.suppress(StartupError):  # the tests of the dashboard say so
            ensure_charts()
            ensure_axe()
        templates.make_folders(config.cache.mkdir("embedded-templates"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        templates.remove_folder()


def pytest_report_header() -> str:
    return "database: TEST_DATABASE_URL, else Docker, else embedded (tests marked 'concurrent' skip there)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


_DATABASE = pytest.StashKey[TestDatabase]()
"""The database of this process, once it runs."""
_has_failed = _is_stuck = False


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global _has_failed  # noqa: PLW0603 - the hook is given nothing that lives as long
    _has_failed = _has_failed or report.failed


def pytest_runtest_setup(item: pytest.Item) -> None:
    """After a failure, find out if the embedded database is stuck. Then the rest fails at once."""
    global _has_failed, _is_stuck  # noqa: PLW0603
    database = item.config.stash.get(_DATABASE, None)
    if _has_failed and not _is_stuck and database is not None and database.is_embedded:
        _is_stuck = not asyncio.run(answers(database))
    _has_failed = False
    if _is_stuck:
        pytest.fail("the embedded database of this process has been stuck since an earlier failure", pytrace=False)


@pytest.fixture(scope="session")
def test_database(pytestconfig: pytest.Config) -> Iterator[TestDatabase]:
    """The database of this run; its jobs run only when a test runs them."""
    with run_test_database() as database:
        pytestconfig.stash[_DATABASE] = database
        yield database


@pytest.fixture(autouse=True)
def _skip_concurrent(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("concurrent"):
        database: TestDatabase = request.getfixturevalue("test_database")
        if database.is_embedded:
            pytest.skip("needs several connections at once; the embedded database has one (set TEST_DATABASE_URL)")


@pytest.fixture(scope="session")
async def database(test_database: TestDatabase) -> AsyncIterator[Database]:
    """The pools as the service opens them."""
    async with pools_of(test_database) as opened:
        yield opened


@pytest.fixture(scope="session")
async def owner(test_database: TestDatabase, database: Database) -> AsyncIterator[Owner]:
    """SQL with every right."""
    async with owner_of(test_database, database) as owner:
        yield owner


@pytest.fixture(scope="session")
async def api(database: Database, owner: Owner) -> AsyncIterator[Api]:
    """The service itself, on a socket, as `energy serve` runs it."""
    async with served(database, Settings()) as api:
        yield api


@pytest.fixture
def empty_database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    """A database of the same kind that nothing has touched yet."""
    with run_another_database(test_database) as database:
        yield database


@pytest.fixture
def migrated_database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    """A database of the same kind, with this version's schema and no readings, that one test has for itself."""
    with run_migrated_database(test_database) as database:
        yield database


@pytest.fixture
def data_folder(tmp_path: Path) -> dict[str, str]:
    """What makes a command use an embedded database of its own, with this version's schema and no readings."""
    templates.copy_migrated(tmp_path / "data")
    return {"ENERGY_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def environment(test_database: TestDatabase, request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes a command use a database of its own, of this run's kind; on a server it is to be migrated first."""
    if test_database.is_embedded:
        return request.getfixturevalue("data_folder")
    return {"DATABASE_URL": request.getfixturevalue("empty_database").url}


@pytest.fixture
def untouched(test_database: TestDatabase, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes a command use a database that is not made yet, or on a server an empty one."""
    if test_database.is_embedded:
        return {"ENERGY_DATA_DIR": str(tmp_path / "data")}
    return {"DATABASE_URL": request.getfixturevalue("empty_database").url}


@pytest.fixture
async def without_example(owner: Owner) -> None:
    """As if nobody had sent the README's readings of M001 and V001 yet."""
    for kind, device in (("meter", "M001"), ("vehicle", "V001")):
        for table in ("telemetry_history", "current_status"):
            await owner.execute(f"DELETE FROM telemetry.{kind}_{table} WHERE {kind}_id = $1", device)


@pytest.fixture
def pair() -> Pair:
    """A vehicle and its default meter that no other test uses."""
    return new_pair()
