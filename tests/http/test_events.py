"""The stream of server-sent events: what it says, what it costs the database, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from service.database.pool import Database
from service.http.app import create_app
from service.http.routes import events
from service.settings import Settings
from tests.support import Api, Owner, assert_problem, meter_reading, new_pair, now, serving


@contextlib.asynccontextmanager
async def listening(api: Api) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    async with api.http.stream("GET", "/v1/events") as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_a_pulse_tells_of_the_devices_and_a_new_reading_shows_in_the_next(
    database: Database, owner: Owner
) -> None:
    app = create_app(database, Settings())
    app.state.pulses = events.Pulses(0.05)
    async with serving(app) as api:
        meter = new_pair().meter
        async with listening(api) as kind:
            name, before = await anext(kind)
            assert name == "pulse"
            assert before["timeZone"] == "UTC"
            response = await api.post("/v1/ingest/meter", meter_reading(meter, now()))
            assert response.status_code == 201
            while True:
                _, after = await anext(kind)
                if after["meters"] != before["meters"]:
                    break
        assert after["meters"] == before["meters"] + 1
        assert after["metersSilent"] == before["metersSilent"]
        assert after["readingsPerMinute"] >= 1
        received = await owner.fetchval(
            "SELECT telemetry.format_utc(received_at) FROM telemetry.meter_current_status WHERE meter_id = $1", meter
        )
        assert after["lastReceivedAt"] == received


async def test_all_listeners_share_one_question_and_nobody_asks_when_they_are_gone(database: Database) -> None:
    asked = 0

    class Counting:
        async def read_row(self, query: str) -> Any:
            nonlocal asked
            asked += 1
            return await database.read_row(query)

    app = create_app(Counting(), Settings())  # type: ignore[arg-type]
    app.state.pulses = events.Pulses(0.2)
    async with serving(app) as api:
        async with contextlib.AsyncExitStack() as stack:
            kinds = [await stack.enter_async_context(listening(api)) for _ in range(8)]
            began = time.monotonic()
            for _ in range(3):
                for kind in kinds:
                    await anext(kind)
            assert asked <= (time.monotonic() - began) / 0.2 + 2
        async with asyncio.timeout(5):
            while app.state.pulses._listeners:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        settled = asked
        await asyncio.sleep(0.5)
        assert asked == settled


async def test_a_database_that_is_away_is_told_and_the_stream_goes_on(database: Database) -> None:
    away = True

    class Away:
        async def read_row(self, query: str) -> Any:
            if away:
                raise OSError("gone")
            return await database.read_row(query)

    app = create_app(Away(), Settings())  # type: ignore[arg-type]
    app.state.pulses = events.Pulses(0.05)
    async with serving(app) as api, listening(api) as kind:
        assert await anext(kind) == ("problem", {"code": "database_unavailable"})
        away = False
        async for name, _ in kind:
            if name == "pulse":
                break


async def test_too_many_listeners_are_told_to_come_later(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 1)
    async with (
        serving(create_app(database, Settings())) as api,
        listening(api) as kind,
    ):
        await anext(kind)
        response = await api.http.get("/v1/events")
        assert_problem(response, 503, "overloaded")
        assert response.headers["retry-after"] == "1"


async def test_a_stream_ends_after_its_time_so_that_a_revoked_key_does_not_listen_on(
    database: Database, monkeypatch: Any
) -> None:
    monkeypatch.setattr(events, "LONGEST_S", 0.0)
    app = create_app(database, Settings())
    async with serving(app) as api:
        response = await api.http.get("/v1/events")
        assert response.text == "retry: 2000\n\n"


async def test_a_server_that_stops_does_not_wait_for_those_who_listen(database: Database) -> None:
    app = create_app(database, Settings())
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(serving(app))
        client = httpx.AsyncClient(base_url=str(api.http.base_url), timeout=60)
        response = await client.send(client.build_request("GET", "/v1/events"), stream=True)
        await anext(_events(response))
        began = time.monotonic()
    assert time.monotonic() - began < 3
    await client.aclose()
