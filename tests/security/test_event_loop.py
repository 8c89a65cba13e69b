"""The event loop goes on whatever a key sends: CPU time of one turn of it, which a busy machine does not change."""

import asyncio
import contextlib
import gc
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from service.alerting.model import Alert
from service.database.pool import Database
from service.http.app import spare_the_collector
from service.http.pages import MEDIA_TYPES
from service.http.parameters import MOST_ITEMS
from service.http.routes.devices import Device
from service.http.routes.sessions import Session
from service.readings.decode_errors import MOST_READING_BYTES
from service.settings import Settings
from tests.http.test_auth import bearer, token
from tests.support import NOW, Api, Owner, Pair, meter_reading, new_pair, served
from tests.support.sockets import answer, connected

MOST_S = 0.1
"""Each of these bodies took 0.15 to 0.9 s in one turn."""
DEVICE = new_pair().meter
GOOD = json.dumps(meter_reading("M1")).encode()
MANY_KEYS = b"{" + b",".join(b'"k%d":1' % number for number in range(340_000)) + b"}"


def array(item: bytes, times: int) -> bytes:
    return b"[" + b",".join([item] * times) + b"]"


BODIES = {
    "wrong values": lambda: array(GOOD.replace(b"230.0", b'"x"'), 10_000),
    "times without seconds": lambda: array(GOOD.replace(b":00Z", b"Z"), 10_000),
    "dropped fields": lambda: array(GOOD[:-1] + b', "rssi": -70}', 10_000),
    "words for NaN": lambda: array(GOOD.replace(b"230.0", b"NaN"), 10_000),
    "many keys": lambda: array(MANY_KEYS, 1),
    "nested": lambda: b"[" * 4_000_000,
    "nested and flat": lambda: b"[" + b"[[]," * 400_000,
    "a string": lambda: b'["' + b"a" * 4_000_000 + b'"]',
    "escapes": lambda: b'["' + b"\\\\" * 2_000_000 + b'"]',
    "digits": lambda: b"[" + b"1" * 4_000_000 + b"]",
    "spaces": lambda: b"[" + b" " * 4_000_000 + b"]",
    "empty lines": lambda: b"\n" * 4_000_000,
    "lines of wrong values": lambda: (GOOD.replace(b"230.0", b'"x"') + b"\n") * 10_000,
    "a line of many keys": lambda: MANY_KEYS,
}


@contextlib.asynccontextmanager
async def turns() -> AsyncIterator[list[float]]:
    """The CPU seconds of each turn of the event loop that took more than any before."""
    longest = [0.0]

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest[0] = max(longest[0], time.thread_time() - before)

    watching = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        watching.cancel()


@pytest.fixture(scope="module")
async def guarded(database: Database, owner: Owner) -> AsyncIterator[Api]:
    """A service, and a client with the key of a device."""
    async with served(database, Settings(auth="required", drop_fields=("rssi",))) as api:
        api.http.headers.update({**bearer(await token(owner, "device", "meter", [DEVICE]))})
        spare_the_collector()
        yield api
        gc.unfreeze()


@pytest.mark.parametrize(
    ("route", "name"),
    [("", name) for name in BODIES]
    + [("meter/", name) for name in ("wrong values", "digits", "lines of wrong values")],
)
async def test_no_batch_stops_the_event_loop(guarded: Api, name: str, route: str) -> None:
    """It is a device's key, and most of the readings are not its own: neither stored nor kept."""
    media_type = "application/x-ndjson" if "line" in name else "application/json"
    headers = {"content-type": media_type, "content-encoding": "gzip"}
    packed = gzip.compress(BODIES[name](), 1)
    async with turns() as longest:
        response = await guarded.http.post(f"/v1/ingest/{route}batch", content=packed, headers=headers, timeout=30)
    assert response.status_code in {400, 422}, response.text
    assert longest[0] < MOST_S


@pytest.mark.parametrize("name", ["many keys", "a string", "digits", "nested"])
@pytest.mark.parametrize("route", ["/v1/ingest", "/v1/ingest/meter"])
async def test_no_single_reading_stops_it(guarded: Api, name: str, route: str) -> None:
    headers = {"content-type": "application/json"}
    for body in (BODIES[name]()[1:], BODIES[name]()[1:60_000]):
        async with turns() as longest:
            answer = await guarded.http.post(route, content=body, headers=headers)
        assert answer.status_code in {400, 413, 422}
        assert longest[0] < MOST_S


@pytest.mark.parametrize("ndjson", [False, True], ids=["array", "NDJSON"])
async def test_an_item_beyond_the_most_bytes_of_a_reading_costs_only_itself(api: Api, pair: Pair, ndjson: bool) -> None:
    first, last = (json.dumps(meter_reading(name)).encode() for name in (pair.meter, pair.meter + "b"))
    space = b" " * (MOST_READING_BYTES - len(last))
    items = [first, MANY_KEYS, last[:-1] + space + b"}", last[:-1] + space + b" }", b'"\\"],[{' + space + b'"']
    body = b"\n".join(items) if ndjson else b"[" + b", ".join(items) + b"]"
    headers = {"content-type": "application/x-ndjson" if ndjson else "application/json"}
    answer = await api.http.post("/v1/ingest/batch", content=body, headers=headers)
    assert answer.status_code == 207, answer.text
    outcome = answer.json()
    assert (outcome["received"], outcome["stored"], outcome["rejected"]) == (5, 2, 3)
    long = [error for error in outcome["errors"] if error["code"] == "item_malformed"]
    assert [error["index"] for error in long] == [1, 3]
    assert "65536 bytes" in long[0]["detail"]


async def test_a_good_batch_does_not_wait_for_slow_ones(guarded: Api) -> None:
    headers = {"content-type": "application/json"}
    slow = [
        asyncio.create_task(
            guarded.http.post("/v1/ingest/batch", content=BODIES["wrong values"](), headers=headers, timeout=30)
        )
        for _ in range(2)
    ]
    await asyncio.sleep(0.1)
    good = array(json.dumps(meter_reading(DEVICE)).encode(), 100)
    assert (await guarded.http.post("/v1/ingest/meter/batch", content=good, headers=headers)).status_code == 201
    assert not all(task.done() for task in slow)
    await asyncio.gather(*slow)


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("has_key", [False, True], ids=["without a key", "with a key"])
async def test_no_body_in_small_chunks_stops_it(guarded: Api, size: int, has_key: bool) -> None:
    authorization = b"Authorization: %s\r\n" % guarded.http.headers["authorization"].encode() if has_key else b""
    head = b"POST /v1/ingest/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s%s\r\n"
    body = (b"%x\r\n%s\r\n" % (size, b" " * size)) * (1_000_000 // size) + b"0\r\n\r\n"
    async with connected(guarded) as (reader, writer), turns() as longest:
        writer.write(head % (authorization, b"Transfer-Encoding: chunked\r\n") + body)
        status, _, _ = await answer(reader)
        await writer.drain()
    assert status == (400 if has_key else 401)
    assert longest[0] < MOST_S


ALERT = {
    **dict.fromkeys((field.name for field in msgspec.structs.fields(Alert)), None),
    **{"id": 1, "rule_name": "battery_hot", "rule_kind": "battery_hot", "kind": "vehicle", "device_id": "V1"},
    **{"severity": "critical", "opened_at": NOW, "last_seen_at": NOW, "reason": "hot " * 30, "note": "n" * 1024},
    "details": json.dumps({"battery_temp_c": 61, "readings": 15, "kwh_consumed_ac": 40}),
}
DEVICE_ROW = {
    **dict.fromkeys(
        [field.name for field in msgspec.structs.fields(Device)][:-3], 1.5
    ),  # those of its energy are added
    **{"kind": "meter", "device_id": "M1", "status": "silent", "recorded_at": NOW, "received_at": NOW},
}
SESSION = {
    **dict.fromkeys((field.name for field in msgspec.structs.fields(Session)), 1.5),
    **{"session_id": UUID(int=1), "vehicle_id": "V1", "meter_id": "M1", "started_at": NOW, "ended_at": NOW},
    **{"efficiency_status": "low", "currency": "EUR", "window_start": NOW, "window_end": NOW},
}


class Full(Database):
    """A database whose answers have as many rows as a page may have."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row

    async def read_rows(self, *_: Any) -> list[Any]:
        return [self._row] * (MOST_ITEMS + 1)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/v1/alerts", ALERT),
        ("/v1/devices", DEVICE_ROW),
        ("/v1/sessions", SESSION),
    ],
    ids=["alerts", "devices", "sessions"],
)
async def test_no_page_of_a_list_stops_it(path: str, row: dict[str, Any]) -> None:
    async with served(Full(row), Settings()) as api:
        spare_the_collector()
        for format_ in MEDIA_TYPES:
            async with turns() as longest:
                page = await api.http.get(path, params={"limit": MOST_ITEMS, "format": format_})
            assert page.status_code == 200, page.text
            assert len(page.content) > 80 * MOST_ITEMS
            assert longest[0] < MOST_S
    gc.unfreeze()
