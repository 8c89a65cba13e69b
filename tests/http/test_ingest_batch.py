"""POST /v1/ingest/.../batch: an outcome for each reading, whatever its neighbours are; limits; packed bodies."""

import gzip
import json
import random
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.database.pool import Database
from service.settings import Settings
from tests.support import (
    NOW,
    YESTERDAY,
    Api,
    Owner,
    Pair,
    assert_problem,
    meter_reading,
    new_pair,
    served,
    vehicle_reading,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MINUTE = timedelta(minutes=1)
JSON = "application/json"
NDJSON = "application/x-ndjson"
KINDS = {"meter": meter_reading, "vehicle": vehicle_reading}


def lines(items: list[Any]) -> bytes:
    """NDJSON; an item that is bytes stands as it is."""
    return b"\n".join(item if isinstance(item, bytes) else json.dumps(item).encode() for item in items)


async def post(api: Api, body: bytes, route: str = "/v1/ingest/batch", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in {"content_type": JSON, **headers}.items()}
    return await api.http.post(route, content=body, headers=named)


def counts(response: httpx.Response) -> tuple[int, ...]:
    """Status, received, stored, duplicates, conflicts, rejected."""
    answer = response.json()
    return (response.status_code, *(answer[k] for k in ("received", "stored", "duplicates", "conflicts", "rejected")))


async def stored(owner: Owner, kind: str, device: str) -> int:
    return await owner.fetchval(f"SELECT count(*) FROM telemetry.{kind}_telemetry_history WHERE {kind}_id = $1", device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", ["own", "either"])
@pytest.mark.parametrize("media_type", [JSON, NDJSON, "application/jsonl", "application/x-ndjson; charset=utf-8"])
async def test_a_batch_is_stored_and_sent_again_is_all_duplicates(
    api: Api, owner: Owner, pair: Pair, kind: str, route: str, media_type: str
) -> None:
    device = getattr(pair, kind)
    readings = [KINDS[kind](device, YESTERDAY + n * MINUTE) for n in range(5)]
    body = json.dumps(readings).encode() if media_type == JSON else lines(readings)
    path = f"/v1/ingest/{kind}/batch" if route == "own" else "/v1/ingest/batch"
    assert counts(await post(api, body, path, content_type=media_type)) == (201, 5, 5, 0, 0, 0)
    assert counts(await post(api, body, path, content_type=media_type)) == (201, 5, 0, 5, 0, 0)
    assert await stored(owner, kind, device) == 5
    newest = await owner.fetchval(
        f"SELECT recorded_at FROM telemetry.{kind}_current_status WHERE {kind}_id = $1", device
    )
    assert newest == YESTERDAY + 4 * MINUTE


async def test_both_kinds_in_one_batch_each_with_its_own_outcome(api: Api, owner: Owner, pair: Pair) -> None:
    await api.post_meter(pair.meter, YESTERDAY)
    items = [
        vehicle_reading(pair.vehicle),
        meter_reading(pair.meter),
        meter_reading(pair.meter, kwhConsumedAc=5),
        17,
        meter_reading(pair.meter, kwhConsumedAc=-1),
        vehicle_reading(pair.vehicle, YESTERDAY + MINUTE),
        {"voltage": 1},
        vehicle_reading(pair.vehicle, kwhDeliveredDc=...),
        vehicle_reading(pair.vehicle, "2026-02-31T00:00:00Z"),
    ]
    response = await post(api, json.dumps(items).encode())
    assert counts(response) == (207, 9, 2, 1, 1, 5)
    errors = response.json()["errors"]
    assert [(error["index"], error["code"]) for error in errors] == [
        (2, "conflict"),
        (3, "field_type_invalid"),
        (4, "value_out_of_range"),
        (6, "kind_unknown"),
        (7, "field_missing"),
        (8, "timestamp_invalid"),
    ]
    assert "kwhConsumedAc -1 is outside 0 to 10000000 kWh" in errors[2]["detail"]
    assert "kwhDeliveredDc" in errors[4]["detail"]
    assert (await stored(owner, "vehicle", pair.vehicle), await stored(owner, "meter", pair.meter)) == (2, 1)


BROKEN_ITEMS: dict[str, tuple[bytes, str]] = {
    "number": (b"17", "field_type_invalid"),
    "null": (b"null", "field_type_invalid"),
    "text": (b'"M1"', "field_type_invalid"),
    "array": (b"[[1, {}]]", "field_type_invalid"),
    "empty object": (b"{}", "field_missing"),
    "wrong type": (
        b'{"meterId": "M1", "kwhConsumedAc": "1", "voltage": 1, "timestamp": "2026-02-08T18:00:00Z"}',
        "field_type_invalid",
    ),
    "time": (b'{"meterId": "M1", "kwhConsumedAc": 1, "voltage": 1, "timestamp": "noon"}', "timestamp_invalid"),
    "field twice": (
        b'{"meterId": "M1", "kwhConsumedAc": 1, "voltage": 1, "voltage": 1, "timestamp": "2026-02-08T18:00:00Z"}',
        "field_duplicate",
    ),
    "NaN": (
        b'{"meterId": "M1", "kwhConsumedAc": NaN, "voltage": 1, "timestamp": "2026-02-08T18:00:00Z"}',
        "value_not_finite",
    ),
    "half a surrogate": (b'{"meterId": "\\ud800"}', "item_malformed"),
    "huge number": (
        b'{"meterId": "M1", "kwhConsumedAc": 1%s, "voltage": 1, "timestamp": "2026-02-08T18:00:00Z"}' % (b"0" * 6000),
        "value_out_of_range",
    ),
}
BROKEN_LINES = {
    "cut off": b'{"meterId": "M1",',
    "two on a line": b"{} {}",
    "no JSON": b"M1;1.5;230",
    "invalid UTF-8": b'{"meterId": "\xff"}',
    "deep": b"[" * 10_000,
    "comma at the end": b"{},",
    "NUL": b"\x00",
}


async def test_the_kind_is_told_by_the_id_however_it_is_written(api: Api, owner: Owner, pair: Pair) -> None:
    meter = json.dumps(meter_reading(pair.meter)).replace('"meterId":', '"meterId" :').encode()
    vehicle = json.dumps(vehicle_reading('x","meterId":"')).encode()  # no id, but a vehicle's
    response = await post(api, b"[" + meter + b"," + vehicle + b"]", "/v1/ingest/batch")
    assert counts(response) == (207, 2, 1, 0, 0, 1)
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [(1, "id_invalid")]
    assert await stored(owner, "meter", pair.meter) == 1


@pytest.mark.parametrize("name", BROKEN_ITEMS)
@pytest.mark.parametrize("media_type", [JSON, NDJSON])
async def test_a_broken_item_is_rejected_alone(api: Api, owner: Owner, pair: Pair, name: str, media_type: str) -> None:
    broken, code = BROKEN_ITEMS[name]
    items = [meter_reading(pair.meter), broken, meter_reading(pair.meter, YESTERDAY + MINUTE)]
    body = lines(items) if media_type == NDJSON else b"[" + lines(items).replace(b"\n", b" ,\n") + b" ]"
    response = await post(api, body, "/v1/ingest/meter/batch", content_type=media_type)
    assert counts(response) == (207, 3, 2, 0, 0, 1)
    [error] = response.json()["errors"]
    assert (error["index"], error["code"]) == (1, code)
    assert error["detail"]
    assert await stored(owner, "meter", pair.meter) == 2


@pytest.mark.parametrize("name", BROKEN_LINES)
@pytest.mark.parametrize("route", ["/v1/ingest/meter/batch", "/v1/ingest/batch"])
async def test_a_line_that_is_no_json_is_rejected_alone_and_kept_as_it_came(
    api: Api, owner: Owner, pair: Pair, name: str, route: str
) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    items = [meter_reading(pair.meter), b" \r", BROKEN_LINES[name], b"", meter_reading(pair.meter, YESTERDAY + MINUTE)]
    response = await post(api, lines(items) + b"\r\n", route, content_type=NDJSON)
    assert counts(response) == (207, 3, 2, 0, 0, 1)
    [error] = response.json()["errors"]
    assert (error["index"], error["code"]) == (1, "item_malformed")
    assert "the body" not in error["detail"]
    [row] = await owner.fetch("SELECT * FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert (row["code"], row["source"]) == ("item_malformed", "127.0.0.1")
    kept = BROKEN_LINES[name].decode(errors="replace").replace("\x00", "\ufffd")
    assert row["payload"] == kept[:8192]


@pytest.mark.parametrize("route", ["/v1/ingest/meter/batch", "/v1/ingest/batch"])
async def test_a_line_is_one_reading_whatever_the_other_lines_are(
    api: Api, owner: Owner, pair: Pair, route: str
) -> None:
    one, two = (json.dumps(meter_reading(pair.meter, YESTERDAY + n * MINUTE)).encode() for n in range(2))
    assert counts(await post(api, one + b" " + two, route, content_type=NDJSON)) == (422, 1, 0, 0, 0, 1)
    broken_up = one.replace(b", ", b",\n")
    assert counts(await post(api, broken_up, route, content_type=NDJSON)) == (422, 4, 0, 0, 0, 4)
    assert await stored(owner, "meter", pair.meter) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[{},{}",
        b"[{}]" * 2,
        b"\xef\xbb\xbf",
        b"",
        b" ",
        b"[",
        b"[1 2]",
        b"[1,]",
        b"[,1]",
        b"[1]]",
        b"[] 5",
        b"x",
        b"{}",
        b"5",
        b'"a"',
        b"\xff",
        b"[\xff]",
    ],
    ids=lambda body: str(body[:12]),
)
async def test_a_body_that_is_no_json_array_is_rejected_whole(api: Api, owner: Owner, pair: Pair, body: bytes) -> None:
    for route in ("/v1/ingest/batch", "/v1/ingest/meter/batch"):
        assert_problem(await post(api, body, route), 400, "body_malformed")
    begun = json.dumps([meter_reading(pair.meter)]).encode()[:-1] + b", 5 6]"
    assert_problem(await post(api, begun), 400, "body_malformed", "comma")
    assert await stored(owner, "meter", pair.meter) == 0


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"[]", JSON),
        (b" [ ]\n", JSON),
        (b"\xef\xbb\xbf[]", JSON),
        (b"", NDJSON),
        (b"\n\n", NDJSON),
        (b"\xef\xbb\xbf", NDJSON),
    ],
)
async def test_an_empty_batch_is_told_so_as_whoever_sent_it_had_readings(
    api: Api, body: bytes, media_type: str
) -> None:
    for route in ("/v1/ingest/batch", "/v1/ingest/vehicle/batch"):
        assert_problem(await post(api, body, route, content_type=media_type), 400, "batch_empty", "no reading")


async def test_a_batch_of_which_everything_is_rejected_is_422_and_no_problem_document(api: Api) -> None:
    response = await post(api, b"[1, 2]")
    assert counts(response) == (422, 2, 0, 0, 0, 2)
    assert response.headers["content-type"] == "application/json"


async def test_conflicts_alone_are_rejected_and_with_a_duplicate_are_not_all(api: Api, pair: Pair) -> None:
    await api.post_meter(pair.meter)
    other = meter_reading(pair.meter, kwhConsumedAc=7)
    assert counts(await post(api, json.dumps([other]).encode())) == (422, 1, 0, 0, 1, 0)
    assert counts(await post(api, json.dumps([other, meter_reading(pair.meter)]).encode())) == (207, 2, 0, 1, 1, 0)


async def test_of_one_key_twice_in_a_batch_the_first_counts(api: Api, owner: Owner, pair: Pair) -> None:
    items = [meter_reading(pair.meter), meter_reading(pair.meter), meter_reading(pair.meter, voltage=1)]
    assert counts(await post(api, json.dumps(items).encode())) == (207, 3, 1, 1, 1, 0)
    assert await stored(owner, "meter", pair.meter) == 1


async def test_a_reading_of_the_other_kind_is_rejected_on_a_route_of_one_kind(api: Api, pair: Pair) -> None:
    items = [meter_reading(pair.meter), vehicle_reading(pair.vehicle)]
    response = await post(api, json.dumps(items).encode(), "/v1/ingest/meter/batch")
    assert counts(response) == (207, 2, 1, 0, 0, 1)
    assert response.json()["errors"][0]["index"] == 1


async def test_more_than_one_call_takes_is_stored_and_indexed_right(api: Api, owner: Owner) -> None:
    pairs = [new_pair() for _ in range(5)]
    items: list[Any] = [
        make(device, NOW - timedelta(days=2) + n * MINUTE)
        for n in range(250)
        for pair in pairs
        for make, device in ((meter_reading, pair.meter), (vehicle_reading, pair.vehicle))
    ]
    random.Random(7).shuffle(items)
    wrong = {5: "x", 999: {"voltage": 1}, 1000: 5, 1700: meter_reading("M!"), 2499: vehicle_reading(pairs[0].vehicle)}
    for index, item in wrong.items():
        items[index] = item
    response = await post(api, lines(items), content_type=NDJSON)
    assert counts(response) == (207, 2500, 2496, 0, 0, 4)
    assert [error["index"] for error in response.json()["errors"]] == [5, 999, 1000, 1700]
    assert response.json()["errors"][3]["code"] == "id_invalid"
    found = [await stored(owner, kind, getattr(pair, kind)) for pair in pairs for kind in KINDS]
    assert sum(found) == 2496


async def test_at_most_a_thousand_errors_are_listed_and_all_are_counted(api: Api, pair: Pair) -> None:
    response = await post(
        api, lines([meter_reading(pair.meter, kwhConsumedAc=-n) for n in range(1, 1202)]), content_type=NDJSON
    )
    assert counts(response) == (422, 1201, 0, 0, 0, 1201)
    assert [error["index"] for error in response.json()["errors"]] == list(range(1000))


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("media_type", [JSON, NDJSON])
async def test_a_packed_batch_is_stored(api: Api, owner: Owner, pair: Pair, coding: str, media_type: str) -> None:
    items = [meter_reading(pair.meter, YESTERDAY + n * MINUTE) for n in range(3)]
    body = json.dumps(items).encode() if media_type == JSON else lines(items)
    response = await post(api, PACK[coding](body), content_type=media_type, content_encoding=coding)
    assert counts(response) == (201, 3, 3, 0, 0, 0)
    assert await stored(owner, "meter", pair.meter) == 3


async def test_packed_in_two_members_or_frames_it_is_read_to_its_end(api: Api, pair: Pair) -> None:
    first, second = (lines([meter_reading(pair.meter, YESTERDAY + n * MINUTE)]) + b"\n" for n in range(2))
    for coding, outcome in (("gzip", (201, 2, 2, 0, 0, 0)), ("zstd", (201, 2, 0, 2, 0, 0))):
        body = PACK[coding](first) + PACK[coding](second)
        assert counts(await post(api, body, content_type=NDJSON, content_encoding=coding)) == outcome


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_body_that_is_not_packed_as_it_says_is_malformed(api: Api, coding: str) -> None:
    whole = PACK[coding](b"[" + b" " * 100_000 + b"]")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for body in (b"[]", b"", whole[:-3], bytes(flipped), whole + b"rubbish", whole[:4]):
        response = await post(api, body, content_encoding=coding)
        if not (body == b"" and response.json().get("detail") == "the body is empty"):
            assert_problem(response, 400, "body_malformed", coding)


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, zstd", "x" * 200])
async def test_another_coding_is_rejected_by_name(api: Api, coding: str) -> None:
    assert_problem(
        await post(api, b"[]", content_encoding=coding), 415, "media_type_unsupported", coding[:60], "gzip or zstd"
    )


@pytest.mark.parametrize("media_type", ["text/csv", "application/xml", ""])
async def test_another_media_type_is_rejected(api: Api, media_type: str) -> None:
    assert_problem(await post(api, b"[]", content_type=media_type), 415, "media_type_unsupported", NDJSON, JSON)


def bombs() -> dict[str, tuple[str, bytes]]:
    """A gigabyte of spaces, packed into at most a megabyte."""
    return {
        "gzip": ("gzip", gzip.compress(b" " * 10**9, 1)[:4_000_000]),
        "zstd": ("zstd", zstd.compress(b" " * 10**9)),
        "zstd of many frames": ("zstd", zstd.compress(b" " * 10**6) * 1000),
    }


async def test_a_decompression_bomb_is_rejected_by_its_size_and_costs_little(api: Api) -> None:
    for coding, bomb in bombs().values():
        response = await post(api, bomb, content_encoding=coding)
        assert_problem(response, 413, "body_too_large", "4194304 bytes", "ENERGY_MAX_BODY_BYTES")


async def test_a_zstd_frame_that_wants_a_huge_window_is_rejected(api: Api) -> None:
    options = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(b"[" + b" " * 1000) + compressor.flush()
    assert_problem(await post(api, frame, content_encoding="zstd"), 400, "body_malformed", "zstd")


@pytest.fixture
async def small(database: Database) -> AsyncIterator[Api]:
    """The service with low limits."""
    async with served(database, Settings(max_body_bytes=4096, max_batch_items=10)) as api:
        yield api


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize("route", ["/v1/ingest/batch", "/v1/ingest/meter/batch"])
async def test_more_items_than_a_batch_may_have_are_rejected_whole(
    small: Api, owner: Owner, pair: Pair, media_type: str, route: str
) -> None:
    items: list[Any] = [meter_reading(pair.meter, YESTERDAY + n * MINUTE) for n in range(11)]
    for last in (items[-1], 5):  # all good, and with one that is not
        items[-1] = last
        body = json.dumps(items).encode() if media_type == JSON else lines(items)
        response = await post(small, body, route, content_type=media_type)
        assert_problem(response, 413, "batch_too_large", "10 readings", "ENERGY_MAX_BATCH_ITEMS")
    assert await stored(owner, "meter", pair.meter) == 0
    body = json.dumps(items[:10]).encode() if media_type == JSON else lines(items[:10])
    assert counts(await post(small, body, route, content_type=media_type)) == (201, 10, 10, 0, 0, 0)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
async def test_more_bytes_than_a_body_may_have_are_rejected_whole_packed_or_unpacked(
    small: Api, owner: Owner, pair: Pair, coding: str
) -> None:
    body = json.dumps([meter_reading(pair.meter)]).encode()
    fits, too_long = (body + b" " * (size - len(body)) for size in (4096, 4097))
    assert counts(await post(small, PACK[coding](fits), content_encoding=coding))[0] == 201
    response = await post(small, PACK[coding](too_long), content_encoding=coding)
    assert_problem(response, 413, "body_too_large", "4096 bytes", "ENERGY_MAX_BODY_BYTES")
    noise = random.Random(1).randbytes(5000)
    assert_problem(await post(small, noise, content_encoding=coding), 413, "body_too_large", "4096 bytes")
    assert await stored(owner, "meter", pair.meter) == 1
