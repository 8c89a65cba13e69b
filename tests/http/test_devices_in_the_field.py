"""Requests as meters, gateways and command lines in the field send them: old HTTP, odd ids, odd clocks, odd numbers."""

import json
import uuid
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest

from tests.http.test_forms import BATCH, JSON, KINDS, NDJSON, SINGLE, device_of, joined, post, times_of
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, meter_reading, now
from tests.support.sockets import answer, connected, end

IDS = {
    "MAC": "00:1B:44:11:3A:{}",
    "VIN": "WVWZZZ1JZXW{}",
    "UUID": "6ba7b810-9dad-11d1-80b4-{}",
    "URN": "urn:dev:mac:{}",
    "URN of a UUID": "urn:uuid:6ba7b810-9dad-11d1-80b4-{}",
}


@pytest.mark.parametrize("form", IDS.values(), ids=IDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_ids_that_devices_have_work_in_bodies_and_paths(api: Api, kind: str, form: str) -> None:
    device = form.format(uuid.uuid4().hex[:12])
    assert (await api.post("/v1/ingest", KINDS[kind](device))).json() == {"outcome": "stored"}
    start = (YESTERDAY - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for written in (device, quote(device, safe=""), quote(device, safe="").lower().replace("%3a", ":")):
        if written.lower() == written != device:
            continue  # another id
        status = await api.http.get(f"/v1/status/{kind}/{written}")
        assert (status.status_code, status.json()[f"{kind}Id"]) == (200, device)
        history = (await api.http.get(f"/v1/history/{kind}/{written}", params={"start": start, "hours": 2})).json()
        assert len(history["items"]) == 1
        assert (await api.http.get(f"/v1/devices/{kind}/{written}")).status_code == 200


@pytest.mark.parametrize("number", ["1", "1.0", "1e0", "1E+0", "10e-1", "0.1e1", "100E-02"])
@pytest.mark.parametrize(("kind", "path"), SINGLE)
async def test_a_number_is_the_same_in_every_notation(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, number: str
) -> None:
    device = device_of(kind, pair)
    reading = {name: "@" if isinstance(value, float) else value for name, value in KINDS[kind](device).items()}
    numbers = [value for value in reading.values() if value == "@"]
    assert len(numbers) >= 2
    first = await post(api, path, json.dumps(reading).replace('"@"', "1").encode())
    again = await post(api, path, json.dumps(reading).replace('"@"', number).encode())
    assert [first.json(), again.json()] == [{"outcome": "stored"}, {"outcome": "duplicate"}]
    energy = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}[kind]
    query = f"SELECT {energy} FROM telemetry.{kind}_telemetry_history WHERE {kind}_id = $1"
    assert [row[0] for row in await owner.fetch(query, device)] == [1.0]


CLOCKS = {
    "1970-01-01T00:00:17Z": "timestamp_too_old",  # a clock that began with the power
    "1980-01-06T00:00:00Z": "timestamp_too_old",  # that of GPS without a fix
    "2000-01-01T00:00:00Z": "timestamp_too_old",
    "2036-02-07T06:28:16Z": "timestamp_in_future",  # NTP's zero, an era later
    "2038-01-19T03:14:08Z": "timestamp_in_future",
}


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_a_clock_that_was_never_set_costs_its_own_readings_only(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, media_type: str
) -> None:
    device = device_of(kind, pair)
    times = [*CLOCKS, YESTERDAY]
    items = [json.dumps(KINDS[kind](device, time)).encode() for time in times]
    answer = await post(api, path, joined(items, media_type), media_type)
    assert (answer.status_code, answer.json()["stored"]) == (207, 1)
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == list(enumerate(CLOCKS.values()))
    assert await times_of(owner, kind, device) == [YESTERDAY]
    single = path.removesuffix("/batch")
    for time, code in CLOCKS.items():
        assert_problem(await api.post(single, KINDS[kind](device, time)), 422, code, time[:10])


MEDIA_TYPES = ["; charset=utf-8", ";charset=UTF-8", '; charset="utf-8"', " ; Charset=utf-8; profile=x"]


@pytest.mark.parametrize("parameter", MEDIA_TYPES)
@pytest.mark.parametrize(("kind", "path"), [*SINGLE, *BATCH])
async def test_the_media_type_may_have_parameters(api: Api, pair: Pair, kind: str, path: str, parameter: str) -> None:
    item = json.dumps(KINDS[kind](device_of(kind, pair))).encode()
    many = path.endswith("/batch")
    for media_type in ("Application/JSON", *(["application/x-NDJSON"] if many else [])):
        body = b"[" + item + b"]" if many and media_type == "Application/JSON" else item
        answer = await post(api, path, body, media_type + parameter)
        assert answer.status_code in {200, 201}, answer.text


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_lines_that_curl_joined_are_one_malformed_item_and_kept(
    api: Api, owner: Owner, pair: Pair, kind: str, path: str, end: bytes
) -> None:
    """`curl --data @file` takes the ends of the lines away."""
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    device = device_of(kind, pair)
    items = [json.dumps(KINDS[kind](device, YESTERDAY + n * timedelta(minutes=1))).encode() for n in range(2)]
    answer = await post(api, path, b"".join(items) + end, NDJSON)
    assert (answer.status_code, answer.json()["received"], answer.json()["stored"]) == (422, 1, 0)
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(0, "item_malformed")]
    assert await times_of(owner, kind, device) == []
    kept = await owner.fetch("SELECT payload FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert [row["payload"] for row in kept] == [b"".join(items).decode()]
    # an array survives it, and so do lines that are sent as they are
    array = await post(api, path, joined(items, JSON).replace(b"\n", b""))
    assert (array.status_code, array.json()["stored"]) == (201, 2)
    assert (await post(api, path, b"\r\n".join(items), NDJSON)).json()["duplicates"] == 2


def request(body: bytes, *fields: str, version: str = "1.1", path: str = "/v1/ingest/meter") -> bytes:
    media_type = NDJSON if path.endswith("/batch") else JSON
    head = [f"POST {path} HTTP/{version}", "Host: energy.example", f"Content-Type: {media_type}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


SENT = ["/v1/ingest/meter", "/v1/ingest", "/v1/ingest/meter/batch", "/v1/ingest/batch"]


@pytest.mark.parametrize("path", SENT)
async def test_http_1_0_is_answered_and_the_connection_ends(api: Api, pair: Pair, path: str) -> None:
    body = json.dumps(meter_reading(pair.meter)).encode()
    async with connected(api) as (reader, writer):
        writer.write(request(body, length(body), version="1.0", path=path))
        status, _, content = await answer(reader)
        assert (status, content.get("stored", content.get("outcome"))) in {(201, "stored"), (201, 1)}
        assert await end(reader) == b""


@pytest.mark.parametrize("path", SENT)
async def test_requests_that_do_not_wait_for_answers_are_answered_in_order(
    api: Api, owner: Owner, pair: Pair, path: str
) -> None:
    times = [YESTERDAY + n * timedelta(minutes=1) for n in range(20)]
    bodies = [json.dumps(meter_reading(pair.meter, time)).encode() for time in times]
    bodies[7] = b'{"meterId": 5}'
    async with connected(api) as (reader, writer):
        writer.write(b"".join(request(body, length(body), path=path) for body in bodies))
        statuses = [(await answer(reader))[0] for _ in bodies]
    assert statuses == [201] * 7 + [422] + [201] * 12
    assert await times_of(owner, "meter", pair.meter) == times[:7] + times[8:]


@pytest.mark.parametrize("path", SENT)
async def test_chunks_may_have_extensions_and_trailers(api: Api, pair: Pair, path: str) -> None:
    body = json.dumps(meter_reading(pair.meter)).encode()
    chunks = b'7;name=value\r\n%s\r\n%X;a="b";c\r\n%s\r\n000;last\r\nX-Trailer: 1\r\n\r\n'
    async with connected(api) as (reader, writer):
        for expected in (201, {"/v1/ingest/meter": 200, "/v1/ingest": 200}.get(path, 201)):
            chunked = chunks % (body[:7], len(body) - 7, body[7:])
            writer.write(request(chunked, "Transfer-Encoding: chunked", path=path))
            assert (await answer(reader))[0] == expected


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("path", SENT)
async def test_a_client_that_expects_to_be_told_to_go_on_is_told(api: Api, pair: Pair, path: str, waits: bool) -> None:
    body = json.dumps(meter_reading(pair.meter)).encode()
    async with connected(api) as (reader, writer):
        writer.write(request(b"" if waits else body, length(body), "Expect: 100-continue", path=path))
        if waits:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(body)
        else:  # curl goes on by itself after a second
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 100 "):
                assert head.startswith(b"HTTP/1.1 201 ")
                return
        assert (await answer(reader))[0] == 201


ASKED = {
    b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"GET /v1/nothing HTTP/1.0\r\nHost: x\r\n\r\n": 404,
    request(b"{}", length(b"{}")): 422,
    request(b"", length(b"")): 400,
    b"no HTTP\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n": 431,
}


@pytest.mark.parametrize(("asked", "status"), ASKED.items(), ids=[f"{text[:12]}" for text in ASKED])
async def test_every_answer_has_the_time_of_the_server(api: Api, asked: bytes, status: int) -> None:
    async with connected(api) as (reader, writer):
        writer.write(asked)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert int(head.split()[1]) == status
    [date] = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("date: ")]
    assert abs(parsedate_to_datetime(date) - now()) < timedelta(seconds=5)
