"""The server that `make faults` breaks, and the table of what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.cluster import Cluster, run_cluster
from tests.faults.driver import Fleet, Verdict, percentile
from tests.faults.server import Server, run_server
from tests.support import fresh_database

_ROWS = pytest.StashKey[list[str]]()

Tell = Callable[[str, Verdict, list[Fleet], str], None]


@pytest.fixture(scope="session")
def session_server() -> Iterator[Server]:
    with run_server() as server:
        yield server


@pytest.fixture
def server(session_server: Server) -> Server:
    if not session_server.is_running:  # the test before failed halfway
        session_server.start()
    return session_server


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """An empty database on it."""
    with fresh_database(server.url) as url:
        yield url
        server.thaw()
        if not server.is_running:
            server.start()


@pytest.fixture(scope="module")
def module_cluster() -> Iterator[Cluster]:
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(module_cluster: Cluster) -> Iterator[Cluster]:
    """A healthy Patroni cluster, with an empty database."""
    module_cluster.heal()
    with fresh_database(module_cluster.url("haproxy", "postgres")) as url:
        module_cluster.database = url.rpartition("/")[2]
        yield module_cluster
        module_cluster.heal()


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Tell:
    """Adds a row to the table at the end of the run, and asserts that nothing was lost."""

    def tell(what: str, verdict: Verdict, fleets: list[Fleet], happened: str) -> None:
        answers: dict[str, int] = {}
        for fleet in fleets:
            for answer, count in fleet.answers.items():
                answers[answer] = answers.get(answer, 0) + count
        wrong = [text for fleet in fleets for text in fleet.wrong]
        counts = ", ".join(f"{count:,} {answer}" for answer, count in sorted(answers.items()))
        p99 = percentile([after for fleet in fleets for after in fleet.answered_after], 99)
        duplicates = sum(fleet.duplicates for fleet in fleets)
        row: list[Any] = [
            what,
            counts,
            f"{verdict.acknowledged:,}",
            f"{verdict.stored:,}",
            f"{verdict.missing}, {verdict.twice}, {verdict.never_sent}, {verdict.status_wrong}",
            f"{duplicates:,}",
            f"{p99:.2f}",
            happened,
        ]
        pytestconfig.stash.setdefault(_ROWS, []).append("| " + " | ".join(map(str, row)) + " |")
        assert not wrong, (len(wrong), wrong[:3])
        assert verdict.is_good, verdict
        assert verdict.acknowledged > 0

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if rows := config.stash.get(_ROWS, []):
        terminalreporter.section("what happened")
        head = (
            "broken|answers|acknowledged|stored|missing, twice, never sent, status wrong|duplicates|p99 s|what happened"
        )
        terminalreporter.line(f"| {head.replace('|', ' | ')} |")
        terminalreporter.line("|---" * 8 + "|")
        for row in rows:
            terminalreporter.line(row)
