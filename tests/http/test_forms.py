"""Readings as devices send them, on every route: forms of times, NaN, packed bodies, byte order marks."""

import codecs
import gzip
import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, meter_reading, rfc3339, vehicle_reading
from tests.support.forms import DAY, FORMS, NOT_FINITE, WITHOUT_OFFSET, with_word

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KINDS = {"meter": meter_reading, "vehicle": vehicle_reading}
SINGLE = [("meter", "/v1/ingest/meter"), ("vehicle", "/v1/ingest/vehicle"), *((kind, "/v1/ingest") for kind in KINDS)]
BATCH = [(kind, f"{path}/batch") for kind, path in SINGLE]
JSON, NDJSON = "application/json", "application/x-ndjson"
PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "identity": bytes}


def device_of(kind: str, pair: Pair) -> str:
    return {"meter": pair.meter, "vehicle": pair.vehicle}[kind]


async def post(api: Api, path: str, body: bytes, media_type: str = JSON, coding: str = "identity") -> httpx.Response:
    headers = {"content-type": media_type, "content-encoding": coding}
    return await api.http.post(path, content=body, headers=headers)


def joined(items: list[bytes], media_type: str) -> bytes:
    return b"\n".join(items) if media_type == NDJSON else b"[" + b", ".join(items) + b"]"


async def times_of(owner: Owner, kind: str, device: str) -> list[datetime]:
    query = f"SELECT telemetry.recorded_at(counted_at) AS time FROM telemetry.{kind}_telemetry_history"
    return [row["time"] for row in await owner.fetch(f"{query} WHERE {kind}_id = $1 ORDER BY counted_at", device)]


@pytest.mark.parametrize(("kind", "path"), SINGLE)
async def test_a_reading_is_stored_at_the_moment_its_time_says(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str
) -> None:
    device = device_of(kind, pair)
    for form in FORMS:
        response = await api.post(path, KINDS[kind](device, form))
        assert (response.status_code, response.json()) == (201, {"outcome": "stored"}), form
    assert await times_of(owner, kind, device) == list(FORMS.values())
    for wrong in WITHOUT_OFFSET:
        rejected = await api.post(path, KINDS[kind](device, timestamp=wrong))
        assert_problem(rejected, 422, "timestamp_invalid", "timestamp", "offset", str(wrong).lower()[:10])


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_a_batch_is_stored_at_the_moments_its_times_say(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, media_type: str
) -> None:
    device = device_of(kind, pair)
    readings = [KINDS[kind](device, form) for form in FORMS]
    readings += [KINDS[kind](device, timestamp=wrong) for wrong in WITHOUT_OFFSET]
    answer = (
        await post(api, path, joined([json.dumps(each).encode() for each in readings], media_type), media_type)
    ).json()
    assert (answer["stored"], answer["rejected"]) == (len(FORMS), len(WITHOUT_OFFSET))
    assert {error["code"] for error in answer["errors"]} == {"timestamp_invalid"}
    assert await times_of(owner, kind, device) == list(FORMS.values())


async def test_a_time_in_another_form_is_the_same_reading(api: Api, pair: Pair) -> None:
    assert (await api.post_meter(pair.meter, f"{DAY}T07:20:00.000Z")).status_code == 201
    for form in (f"{DAY}T07:20Z", f"{DAY}T07:20+00", f"{DAY}T12:50+0530"):
        assert (await api.post_meter(pair.meter, form)).json() == {"outcome": "duplicate"}


@pytest.mark.parametrize("form", FORMS)
async def test_a_query_parameter_takes_every_form(api: Api, pair: Pair, form: str) -> None:
    kept = FORMS[form] + timedelta(milliseconds=1)
    for at in (FORMS[form], kept):
        await api.post_meter(pair.meter, at)
    history = f"/v1/history/meter/{pair.meter}"
    end = rfc3339(kept + timedelta(hours=1))
    for query in (httpx.QueryParams(start=form, end=end), f"start={form}&end={end}"):  # `+` escaped, and as it is
        found = (await api.http.get(f"{history}?{query}")).json()["items"]
        assert [datetime.fromisoformat(item["timestamp"]) for item in found] == [kept]


@pytest.mark.parametrize("wrong", [f"{DAY}T07:20", f"{DAY}T24:00:00", f"{DAY}", "1770573600", f"{DAY} 07:20"])
async def test_a_query_parameter_without_an_offset_is_rejected(api: Api, pair: Pair, wrong: str) -> None:
    await api.post_meter(pair.meter)
    response = await api.http.get(f"/v1/history/meter/{pair.meter}", params={"start": wrong})
    assert_problem(response, 422, "parameter_invalid", "start", "offset")


@pytest.mark.parametrize("form", FORMS)
async def test_a_link_takes_every_form(api: Api, pair: Pair, form: str) -> None:
    path, before = f"/v1/links/{pair.vehicle}", FORMS[form] - timedelta(hours=1)
    for begin in (form, rfc3339(before)):
        response = await api.http.put(path, json={"meterId": f"S-{pair.meter}", "from": begin})
        assert response.status_code == 200, response.text
        assert datetime.fromisoformat(response.json()["items"][-1]["from"]) == (
            FORMS[form] if begin == form else before
        )
    assert (await api.http.delete(path, params={"at": form})).status_code == 204
    [item] = (await api.http.get(path)).json()["items"]
    assert datetime.fromisoformat(item["until"]) == FORMS[form]


@pytest.mark.parametrize("wrong", [*WITHOUT_OFFSET, f"{DAY}T07:20:00 00:00"])
async def test_a_link_without_an_offset_is_rejected(api: Api, pair: Pair, wrong: Any) -> None:
    response = await api.http.put(f"/v1/links/{pair.vehicle}", json={"meterId": "S", "from": wrong})
    assert_problem(response, 422, "parameter_invalid", "from")


@pytest.mark.parametrize("word", NOT_FINITE)
@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_a_number_that_is_not_finite_costs_its_item_only(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, media_type: str, word: str
) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    device = device_of(kind, pair)
    field = {"meter": "voltage", "vehicle": "kwhDeliveredDc"}[kind]
    times = [YESTERDAY + n * timedelta(minutes=1) for n in range(3)]
    items = [json.dumps(KINDS[kind](device, each)).encode() for each in times]
    items[1] = with_word(KINDS[kind](device, times[1]), field, word)
    response = await post(api, path, joined(items, media_type), media_type)
    answer = response.json()
    assert (response.status_code, answer["received"], answer["stored"], answer["rejected"]) == (207, 3, 2, 1)
    [error] = answer["errors"]
    assert (error["index"], error["code"]) == (1, "value_not_finite")
    assert field in error["detail"]
    assert await times_of(owner, kind, device) == [times[0], times[2]]
    [kept] = await owner.fetch("SELECT * FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert (kept["kind"], kept["code"], kept["payload"]) == (kind, "value_not_finite", items[1].decode())


@pytest.mark.parametrize("word", NOT_FINITE)
@pytest.mark.parametrize(("kind", "path"), SINGLE)
async def test_a_reading_that_is_not_finite_is_rejected_by_name_and_kept_as_sent(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, word: str
) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    field = {"meter": "kwhConsumedAc", "vehicle": "batteryTemp"}[kind]
    body = with_word(KINDS[kind](device_of(kind, pair)), field, word)
    assert_problem(await post(api, path, body), 422, "value_not_finite", field)
    [kept] = await owner.fetch("SELECT * FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert (kept["kind"], kept["code"], kept["payload"]) == (kind, "value_not_finite", body.decode())


@pytest.mark.parametrize("path", ["/v1/ingest/meter/batch", "/v1/ingest/batch"])
async def test_a_word_for_nan_elsewhere_is_what_it_is_there(api: Api, owner: Owner, pair: Pair, path: str) -> None:
    nan_id = f"nan-{pair.meter}"
    items = [
        json.dumps(meter_reading(nan_id)).encode(),  # within a string it is text
        with_word(meter_reading(pair.meter), "voltage", '"nan"'),
        with_word(meter_reading(pair.meter), "meterId", "nan"),
        with_word(meter_reading(pair.meter), "timestamp", "NaN"),
        with_word(meter_reading(pair.meter), "rssi", "nan"),
        b"nan",
        b"[inf]",
        with_word(meter_reading(pair.meter), "voltage", "-inf").replace(b"{", b'{"voltage": 1, '),
    ]
    answer = (await post(api, path, joined(items, JSON))).json()
    codes = {error["index"]: error["code"] for error in answer["errors"]}
    assert codes == {
        1: "field_type_invalid",
        2: "field_type_invalid",
        3: "timestamp_invalid",
        4: "field_unknown",
        5: "field_type_invalid",
        6: "field_type_invalid",
        7: "field_duplicate",
    }
    assert await times_of(owner, "meter", nan_id) == [YESTERDAY]


@pytest.mark.parametrize("word", ["nano", "1nan", "--nan", "nan inf", "infinit", "n", "-"])
async def test_a_word_that_is_no_number_at_all_is_malformed(api: Api, pair: Pair, word: str) -> None:
    body = with_word(meter_reading(pair.meter), "voltage", word)
    for path in ("/v1/ingest/meter", "/v1/ingest"):
        assert_problem(await post(api, path, body), 400, "body_malformed")
        assert_problem(await post(api, f"{path}/batch", b"[" + body + b"]"), 400, "body_malformed")


@pytest.mark.timeout(60)  # a scan that begins anew at each quote would take hours
async def test_a_string_without_an_end_is_scanned_once(api: Api) -> None:
    assert_problem(await post(api, "/v1/ingest/batch", b'[nan,"' + b'\\"' * 1_000_000), 400, "body_malformed")


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "marked"])
@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize(("kind", "path"), SINGLE)
async def test_a_reading_may_be_packed_and_marked(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, coding: str, mark: bytes
) -> None:
    body = PACK[coding](mark + json.dumps(KINDS[kind](device_of(kind, pair))).encode())
    response = await post(api, path, body, coding=coding)
    assert (response.status_code, response.json()) == (201, {"outcome": "stored"})
    assert await times_of(owner, kind, device_of(kind, pair)) == [YESTERDAY]


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_a_byte_order_mark_costs_no_item(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, media_type: str, coding: str
) -> None:
    times = [YESTERDAY, YESTERDAY + timedelta(minutes=1)]
    items = [json.dumps(KINDS[kind](device_of(kind, pair), each)).encode() for each in times]
    body = PACK[coding](codecs.BOM_UTF8 + joined(items, media_type))
    response = await post(api, path, body, media_type, coding)
    assert (response.status_code, response.json()["stored"]) == (201, 2)
    assert await times_of(owner, kind, device_of(kind, pair)) == times


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "marked"])
@pytest.mark.parametrize("coding", PACK)
async def test_links_and_profiles_may_be_packed_and_marked(api: Api, pair: Pair, coding: str, mark: bytes) -> None:
    headers = {"content-type": JSON, "content-encoding": coding}
    bodies: dict[str, dict[str, Any]] = {
        f"/v1/links/{pair.vehicle}": {"meterId": pair.meter},
        f"/v1/devices/meter/{pair.meter}": {"maxKw": 22.0},
        f"/v1/devices/vehicle/{pair.vehicle}": {"maxKw": 22.0},
    }
    for path, said in bodies.items():
        response = await api.http.put(path, content=PACK[coding](mark + json.dumps(said).encode()), headers=headers)
        assert (response.status_code, said.items() <= response.json().items()) == (200, True), response.text


ROUTES = [*(("POST", path) for _, path in SINGLE), ("PUT", "/v1/links/V1"), ("PUT", "/v1/devices/meter/M1")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_packed_body_has_the_bounds_of_a_packed_batch(api: Api, method: str, path: str) -> None:
    async def send(body: bytes, coding: str) -> httpx.Response:
        headers = {"content-type": JSON, "content-encoding": coding}
        return await api.http.request(method, path, content=body, headers=headers)

    for coding in ("gzip", "zstd"):
        bomb = PACK[coding](b" " * 10_000_000)
        bound = ("65536 bytes",) if method == "POST" else ("4194304 bytes", "ENERGY_MAX_BODY_BYTES")
        assert_problem(await send(bomb, coding), 413, "body_too_large", *bound)
        assert_problem(await send(PACK[coding](b"{}")[:-3], coding), 400, "body_malformed", coding)
        assert_problem(await send(b"{}", coding), 400, "body_malformed", coding)
    assert_problem(await send(b"{}", "br"), 415, "media_type_unsupported", "'br'", "gzip or zstd")
