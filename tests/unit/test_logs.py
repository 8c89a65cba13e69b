"""What is logged: an object a line, with the request's id, without anybody's values, and one line for many refusals."""

import asyncio
import json
import logging
import re
from collections.abc import Callable

import asyncpg
import httpx
import pytest

from service.database.failures import describe_error
from service.database.pool import Database
from service.observability import logs
from service.observability.logs import Repeated, configure_logging
from service.observability.request_id import MOST_NAME, REQUEST_ID, application_name, traced
from tests.support import Api, Owner, TestDatabase, meter_reading, new_pair
from tests.support.processes import run, running

LOG = logging.getLogger("tests.logs")


class Timer:
    """Calls when it is told that the time has come."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append((seconds, call))

    def pass_(self) -> None:
        due, self.waiting = self.waiting, []
        for seconds, call in due:
            assert seconds == logs.EVERY_S
            call()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    found = [(record.outcome, record.times) for record in caplog.records]
    caplog.clear()
    return found


def test_of_what_happens_again_and_again_there_is_one_line_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    timer = Timer()
    repeated = Repeated(timer)

    def refuse(outcome: str, number: int = 1) -> None:
        repeated.log(LOG, logging.INFO, "readings rejected", number, kind="meter", outcome=outcome)

    with caplog.at_level(logging.INFO):
        refuse("id_invalid", 3)
        assert told(caplog) == [("id_invalid", 3)], "the first is told at once"
        for _ in range(5):
            refuse("id_invalid", 2)
        refuse("conflict")
        assert told(caplog) == [("conflict", 1)]
        timer.pass_()
        assert told(caplog) == [("id_invalid", 10)], "the rest together; of conflicts none followed"
        refuse("id_invalid")
        refuse("conflict")
        assert told(caplog) == [("conflict", 1)], "which was forgotten, and is a first again"
        repeated.flush()
        assert told(caplog) == [("id_invalid", 1)]
        timer.pass_()
        timer.pass_()
        assert (told(caplog), timer.waiting) == ([], [])


def test_what_is_below_the_level_is_not_even_counted(caplog: pytest.LogCaptureFixture) -> None:
    timer = Timer()
    with caplog.at_level(logging.WARNING):
        Repeated(timer).log(LOG, logging.INFO, "readings rejected", kind="meter")
    assert (caplog.records, timer.waiting) == ([], [])


@pytest.fixture
def root() -> object:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("root")
def test_a_line_of_json_says_when_how_bad_who_what_and_for_which_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    token = REQUEST_ID.set("find-me")
    LOG.info("readings %s", "rejected", extra={"kind": "meter", "times": 3})
    REQUEST_ID.reset(token)
    LOG.warning("alone\nin its line")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first.pop("time"))
    assert first == {
        "level": "info",
        "logger": "tests.logs",
        "message": "readings rejected",
        "requestId": "find-me",
        "kind": "meter",
        "times": 3,
    }
    assert (second["message"], "requestId" in second) == ("alone\nin its line", False)


@pytest.mark.usefixtures("root")
def test_a_pretty_line_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "pretty")
    LOG.info("readings rejected", extra={"kind": "meter"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] readings rejected .*kind=meter\n", capsys.readouterr().err)


def test_another_format_is_refused_by_name() -> None:
    assert "ENERGY_LOG_FORMAT must be one of auto, json, pretty" in run("doctor", ENERGY_LOG_FORMAT="xml").stderr


async def test_what_the_database_says_of_values_is_not_logged(database: Database) -> None:
    for query, value, kind in (
        ("SELECT $1::integer", "a secret", "DataError 22000"),
        ("SELECT ('a secret' || $1::text)::integer", "", "InvalidTextRepresentationError 22P02"),
    ):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
            await database.read_row(query, value)
        assert "secret" in str(raised.value)
        assert describe_error(raised.value).strip() == kind
    assert describe_error(ConnectionRefusedError(111, "refused")) == "ConnectionRefusedError: [Errno 111] refused"


def test_refusals_of_a_running_service_are_logged_as_json(environment: dict[str, str]) -> None:
    with running({**environment, "ENERGY_LOG_LEVEL": "info"}, "--migrate") as service:
        for number in range(4):
            answer = httpx.post(
                f"{service.url}/v1/ingest/meter",
                json=meter_reading(f"M{number}", kwhConsumedAc=-98765.4321),
                timeout=30,
            )
            assert answer.status_code == 422
        status, stderr = service.stop(2)
    assert status == 0
    lines = [json.loads(line) for line in stderr.splitlines()]
    rejections = [line for line in lines if line["message"] == "readings rejected"]
    assert [(line["outcome"], line["kind"], line["times"]) for line in rejections] == [
        ("value_out_of_range", "meter", 1),
        ("value_out_of_range", "meter", 3),
    ]
    assert "requestId" in rejections[0]
    assert "requestId" not in rejections[1], "it is of three requests"
    assert "98765.4321" not in stderr, "a value that no time stamp or id can look like"


def test_a_sessions_name_fits_into_that_of_postgresql() -> None:
    assert application_name("") == "energy-service"
    assert application_name("abc") == "energy-service abc"
    assert application_name("abc", 12) == "energy-service abc +12"
    assert len(application_name("x" * 64, 12)) == MOST_NAME


async def test_a_session_has_the_name_before_its_statement_begins_and_the_rows_stay_as_they_are(
    database: Database,
) -> None:
    query = "SELECT current_setting('application_name') AS name, n, $1::text AS x FROM generate_series(3, 1, -1) AS n"
    async with database.write.acquire() as connection:
        rows = await connection.fetch(traced(query), "x", "energy-service abc")
        assert [tuple(row.values()) for row in rows] == [("energy-service abc", n, "x") for n in (3, 2, 1)]
        assert list(rows[0].keys()) == ["name", "n", "x"]
        assert await connection.fetch(traced("SELECT FROM generate_series(1, 2)"), "energy-service d") == [(), ()]


@pytest.mark.concurrent
async def test_a_statement_that_waits_names_its_request(api: Api, owner: Owner, test_database: TestDatabase) -> None:
    meter = new_pair().meter
    blocker = await asyncpg.connect(test_database.url)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("LOCK TABLE telemetry.meter_current_status IN ACCESS EXCLUSIVE MODE")
    waiting = asyncio.create_task(
        api.http.post("/v1/ingest/meter", json=meter_reading(meter), headers={"x-request-id": "who-waits"})
    )
    query = (
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(4):
        while not (found := await owner.fetch(query)):  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)
    await transaction.rollback()
    assert (await waiting).status_code == 201
    assert [row[0] for row in found] == ["energy-service who-waits"]
    blocker.terminate()
