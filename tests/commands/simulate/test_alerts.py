"""The simulation's verdict on alerts: those of the fleet's faults, and no other."""

import asyncio
import itertools
import time
from typing import Any

import aiohttp
from aiohttp import web

from service.commands.simulate import alerts
from service.commands.simulate.alerts import Score, is_judged, score_alerts
from service.commands.simulate.fleet import DAY_S
from tests.commands.simulate.test_simulate import server

EXPECTED = frozenset({("efficiency_low", "V1"), ("efficiency_low", "V2")})


def alert(rule_kind: str, device: str, close_reason: str | None = None) -> dict[str, Any]:
    return {"ruleKind": rule_kind, "deviceId": device, "closeReason": close_reason}


def test_precision_and_recall_are_shares_of_the_alerts_and_of_the_faults() -> None:
    found = frozenset(
        {("efficiency_low", "V1"), ("battery_hot", "V1"), ("efficiency_low", "V3"), ("battery_hot", "V9")}
    )
    score = Score(EXPECTED, found)
    assert (score.precision, score.recall) == (0.25, 0.5)
    assert list(score.words()) == [
        "missed alert: efficiency_low of V2",
        "unexpected alert: battery_hot of V1",
        "unexpected alert: battery_hot of V9",
        "unexpected alert: efficiency_low of V3",
    ]
    nothing: frozenset[tuple[str, str]] = frozenset()
    assert [(s.precision, s.recall) for s in (Score(EXPECTED, nothing), Score(nothing, nothing))] == [(1, 0), (1, 1)]


def test_only_a_whole_day_of_charging_that_still_changes_alerts_is_judged() -> None:
    now = time.time()
    assert is_judged(now - 2 * DAY_S, now)
    assert not is_judged(now - 1.9 * DAY_S, now)
    assert is_judged(now - 700 * DAY_S, now)
    assert not is_judged(now - 700 * DAY_S, now - 6 * DAY_S)


async def test_alerts_of_other_fleets_disproved_ones_and_those_of_the_sending_do_not_count(monkeypatch: Any) -> None:
    monkeypatch.setattr(alerts, "ASK_EVERY_S", 0.01)
    pages = [
        [alert("efficiency_low", "V1"), alert("device_silent", "V1"), alert("battery_hot", "W1")],
        [alert("battery_hot", "V1", "disproved by later data")],
    ]
    asked = itertools.count()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["state"] == "all"
        if "cursor" not in request.query:
            return web.json_response({"items": pages[0], "next": "more"})
        # the service finds it later
        late = [alert("efficiency_low", "V2", "recovered")] if next(asked) == 2 else []
        return web.json_response({"items": pages[1] + late, "next": None})

    async with server(answer) as url, aiohttp.ClientSession(url) as session:
        score = await score_alerts(session, EXPECTED, lambda id_: id_.startswith("V"), asyncio.Event())
    assert score == Score(EXPECTED, EXPECTED)
    assert next(asked) == 3


async def test_who_stops_the_simulation_does_not_wait_for_the_alerts() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [], "next": None})

    stopping = asyncio.Event()
    stopping.set()
    async with server(answer) as url, aiohttp.ClientSession(url) as session:
        score = await score_alerts(session, EXPECTED, lambda _: True, stopping)
    assert score == Score(EXPECTED, frozenset())
