"""Every error leaves as problem details: what the database says, what nobody foresaw, what is not there."""

import json
import logging
import time

import asyncpg
import pytest

from service import errors
from service.http.problem_details import from_exception
from tests.support import Api, assert_problem


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), "database_unavailable"),
        (asyncpg.InterfaceError("connection is closed"), "database_unavailable"),
        (asyncpg.InternalClientError("cannot switch to state 12"), "database_unavailable"),
        (asyncpg.AdminShutdownError("terminating connection"), "database_unavailable"),
        (asyncpg.DeadlockDetectedError("deadlock"), "database_unavailable"),
        (asyncpg.DiskFullError("could not extend file"), "database_unavailable"),
        (asyncpg.LockNotAvailableError("lock timeout"), "database_unavailable"),
        (asyncpg.QueryCanceledError("statement timeout"), "database_unavailable"),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), "database_unavailable"),
        (asyncpg.InvalidCatalogNameError("no such database"), "database_unavailable"),
        (asyncpg.InvalidSchemaNameError("no such schema"), "database_unavailable"),
        (ConnectionRefusedError("refused"), "database_unavailable"),
        (TimeoutError(), "database_unavailable"),
        (asyncpg.CharacterNotInRepertoireError("NUL"), "parameter_invalid"),
        (asyncpg.DivisionByZeroError("1 / 0"), "internal_error"),
        (RuntimeError("a bug"), "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_an_error_becomes_the_problem_that_tells_the_device_what_to_do(error: Exception, code: str) -> None:
    problem = from_exception(error)
    assert (problem.code, problem.status) == (code, errors.PROBLEMS[code])
    assert ("Retry-After" in problem.headers) == (problem.status == 503)


def test_a_bug_is_logged_with_its_traceback_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise RuntimeError("the secret of the house")
        except RuntimeError as error:
            problem = from_exception(error)
    assert "secret" not in problem.detail
    [record] = caplog.records
    assert record.error == "RuntimeError: the secret of the house"
    assert f'File "{__file__}"' in record.traceback


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "route_unknown"),
        ("GET", "/docs/nothing", 404, "route_unknown"),
        ("GET", "/docs/nothing.json", 404, "route_unknown"),
        ("GET", "/docs/assets/nothing.js", 404, "route_unknown"),
        ("GET", "/docs/assets/%00", 404, "route_unknown"),
        ("GET", "/docs/assets/" + "a" * 300, 404, "route_unknown"),
        ("GET", "/v1/ingest/meter", 405, "method_not_allowed"),
        ("DELETE", "/v1/status/meter/M1", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(api: Api, method: str, path: str, status: int, code: str) -> None:
    assert_problem(await api.http.request(method, path), status, code)


@pytest.mark.parametrize("repeat", [1, 2])
async def test_a_body_of_many_names_is_refused_without_holding_up_the_others(api: Api, repeat: int) -> None:
    for count, status in ((3_000, 422), (150_000, 413)):
        names = ",".join(f'"{n:x}":1' for n in range(count))
        body = ("{" + ",".join([names] * repeat) + "}").encode()
        before = time.monotonic()
        response = await api.post("/v1/ingest/meter", body)
        assert json.loads(response.content)["status"] == status
        assert time.monotonic() - before < 20  # when names were compared with each other, minutes
