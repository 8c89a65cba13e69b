"""Work that requests share belongs to none of them: its sessions never bear the name of a request that is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from service.database.calls import FIND_API_KEYS, GroupedCall
from service.database.group_commit import GroupCommit
from service.database.pool import Database
from service.database.single_flight import FreshFlight, SingleFlight
from service.errors import Problem
from service.http import authentication
from service.http.authentication import Keys
from service.http.routes import events
from service.http.routes.events import Pulses
from service.observability.request_id import REQUEST_ID
from service.settings import Settings
from tests.support import WithoutNotices

SECRET = "A" * 43


class NotingDatabase:
    """Notes the request that each question is asked for, as its session would be named."""

    def __init__(self) -> None:
        self.named: list[str] = []

    async def read_row(self, _: str) -> Any:
        self.named.append(REQUEST_ID.get())
        return {
            "time_zone": "UTC",
            "at": datetime.now(UTC),
            "last_received_at": None,
            **dict.fromkeys(("readings_per_minute", "meters", "meters_silent"), 0),
            **dict.fromkeys(("vehicles", "vehicles_silent", "vehicles_charging"), 0),
        }

    async def write_rows(self, _: str, *arguments: Any) -> list[Any]:
        self.named.append(REQUEST_ID.get())
        return [{"revision": 1}]

    async def call_grouped(self, _: GroupedCall, rows: list[Any]) -> list[Any]:
        key = {"key_id": rows[0], "scope": "read", "secret_sha256": bytes(32), "expires_at": None, "revision": 1}
        return [key | {"kind": None, "device_ids": [], "id_prefix": None}]


async def test_what_a_single_flight_asks_names_no_request() -> None:
    flight = SingleFlight[str]()
    REQUEST_ID.set("first")

    async def work() -> str:
        return REQUEST_ID.get()

    assert await flight.run(work) == ""
    assert REQUEST_ID.get() == "first"


async def test_what_a_fresh_flight_asks_begins_after_its_callers_have_come() -> None:
    flight = FreshFlight[int]()
    begun, go = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]
    named: list[str] = []
    REQUEST_ID.set("first")

    async def work() -> int:
        number = len(named)
        named.append(REQUEST_ID.get())
        begun[number].set()
        await go[number].wait()
        return number

    async with asyncio.timeout(5):
        first = [asyncio.ensure_future(flight.run(work)) for _ in range(3)]
        await begun[0].wait()
        later = [asyncio.ensure_future(flight.run(work)) for _ in range(3)]
        await asyncio.sleep(0)
        go[0].set()
        assert await asyncio.gather(*first) == [0, 0, 0]
        await begun[1].wait()
        later[0].cancel()  # does not cancel the others' work
        go[1].set()
        assert await asyncio.gather(*later[1:]) == [1, 1]
    assert named == ["", ""]


async def test_an_error_of_a_fresh_flight_reaches_its_callers_and_not_the_next() -> None:
    flight = FreshFlight[int]()

    async def fail() -> int:
        raise Problem("overloaded", "no")

    async def succeed() -> int:
        return 1

    answers = await asyncio.gather(flight.run(fail), flight.run(fail), return_exceptions=True)
    assert all(isinstance(answer, Problem) for answer in answers)
    assert await flight.run(succeed) == 1


async def test_the_pulse_names_no_request_however_often_it_is_asked_for() -> None:
    database = NotingDatabase()
    REQUEST_ID.set("first")
    listener = Pulses(0.01).listen(database)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while len(database.named) < 3:
            await anext(listener)
    await listener.aclose()  # type: ignore[attr-defined]
    assert set(database.named) == {""}


async def test_neither_the_look_at_the_keys_nor_the_report_of_their_use_names_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authentication, "REPORT_S", 0.01)
    monkeypatch.setattr(authentication, "compare_digest", lambda *_: True)
    database = NotingDatabase()
    keys = Keys(lambda: database, Settings())  # type: ignore[arg-type, return-value]
    REQUEST_ID.set("first")
    await keys.authenticate(f"Bearer ek_{'0' * 20}.{SECRET}".encode())
    async with asyncio.timeout(5):
        while len(database.named) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert database.named == ["", ""]


async def test_a_writer_names_the_request_it_works_for_and_not_the_one_that_started_it() -> None:
    going = asyncio.Event()
    names: list[tuple[str, str]] = []

    class Pool(WithoutNotices):
        @contextlib.asynccontextmanager
        async def acquire(self, timeout: float) -> AsyncIterator[Pool]:  # noqa: ASYNC109
            names.append(("acquires", REQUEST_ID.get()))
            yield self

        async def fetch(self, query: str, rows: list[Any], name: str) -> list[Any]:
            names.append((name, REQUEST_ID.get()))
            await going.wait()
            return rows

    group = GroupCommit(Pool(), GroupedCall("test", "query", "rows"), writers=1, max_pending=10)  # type: ignore[arg-type]
    answers = []
    for request in ("first", "second", "third"):
        REQUEST_ID.set(request)
        answers.append(asyncio.create_task(group.call([(request,)])))
        await asyncio.sleep(0.01)
    going.set()
    await asyncio.gather(*answers)
    assert names == [("acquires", ""), ("energy-service first", "first"), ("energy-service second +1", "")]


async def test_beyond_the_most_listeners_nobody_is_admitted_even_of_those_who_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 3)
    pulses, database = Pulses(0.01), NotingDatabase()
    listeners = [pulses.listen(database) for _ in range(10)]  # type: ignore[arg-type]
    admitted = await asyncio.gather(*(anext(listener) for listener in listeners), return_exceptions=True)
    assert [item.code if isinstance(item, Problem) else item for item in admitted] == [b""] * 3 + ["overloaded"] * 7
    await listeners[0].aclose()  # type: ignore[attr-defined]
    assert await anext(pulses.listen(database)) == b"", "who leaves makes room"  # type: ignore[arg-type]


async def test_too_many_look_ups_of_keys_are_not_told_to_wait_for_readings(database: Database) -> None:
    full = Database(database.write, None, max_pending=0)
    with pytest.raises(Problem, match="overloaded") as raised:
        await full.call_grouped(FIND_API_KEYS, ["ek_" + "0" * 20])
    assert raised.value.detail == "0 look-ups of API keys are waiting already (at most 0)"
