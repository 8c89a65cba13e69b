"""Any body in any wrapping, sent to every ingest route: a documented answer, whose words the database bears out."""

from __future__ import annotations

import codecs
import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from service.errors import OUTCOMES, PROBLEMS
from service.http.problem_details import PROBLEM_MEDIA_TYPE
from tests.fuzz.support import Loop, assert_varied, beside, fuzzing, time_limit
from tests.support import NOW, Api, Owner, meter_reading, vehicle_reading

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EXAMPLES = 25
"""Of each route."""
ROUTES = ["/v1/ingest", "/v1/ingest/meter", "/v1/ingest/vehicle"]

# few enough that the same device and time come again, with the same values and with others
TIMES = st.integers(0, 30).map(lambda n: NOW - timedelta(hours=32) + n * timedelta(minutes=61, microseconds=1))
AMOUNTS = st.sampled_from([0, 0.1, 0.1 + 0.2, 1e-300, 1e-9, 99, 100.0])
# absent, null, and what no sensor measures: the reading is stored all the same
MEASURES = AMOUNTS | st.sampled_from([..., None, 1e6, -1e6, 5e-324])
METERS = st.builds(
    lambda n, time, kwh, voltage: meter_reading(f"body-M{n}", time, kwhConsumedAc=kwh, voltage=voltage),
    st.integers(1, 3), TIMES, AMOUNTS | st.sampled_from([1e7, 5e-324]), MEASURES,
)  # fmt: skip
VEHICLES = st.builds(
    lambda n, time, soc, kwh, temp: vehicle_reading(
        f"body-V{n}", time, soc=soc, kwhDeliveredDc=kwh, batteryTemp=temp
    ),
    st.integers(1, 3), TIMES, MEASURES.filter(lambda soc: soc != 5e-324), AMOUNTS, MEASURES | st.just(-60),
)  # fmt: skip

HOSTILE = [
    *("null", "true", "false", "NaN", "Infinity", "-Infinity", "-0.0", "1e999", "-1e999", "1e-999", "0x10", "01"),
    *("9" * 400, "-" + "9" * 5000, "0." + "0" * 400 + "1", "1.5e+3", "10000000.000001", "1500.0000000000002", "{}"),
    *('""', '" "', '"NaN"', '"1"', '"\\u0000"', '"M\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\U0001f600"', "[]"),
    *('"' + "x" * 65 + '"', '"' + "é" * 64 + '"', '"M1\\n"', '"2026-02-30T00:00:00Z"', '"2026-01-01T00:00:00"'),
    *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59.999999-23:59"', '"2026-01-01T24:00:00Z"', '"infinity"'),
    *('"2026-06-30T23:59:60Z"', '"-4713-01-01T00:00:00Z"', '"2026-01-01T00:00:00.1234567890Z"', '"now"', "1e400", "-"),
    *('"\\x41"', '"\\u12"', "'M1'", '{"$gt": ""}', "[" * 30 + "]" * 30, "[" * 2000 + "]" * 2000, '{"a":' * 1500),
    *("5e-324", "-5e-324", "\ufeff1", "+1", '"a\nb"', "nan", "-nan", "-nan(ind)", "inf", "+INF", "nano", "1nan"),
    *('"2026-01-01T00:00Z"', '"2026-01-01T24:00:01Z"', '"2026-01-01T00:00:00,5+00"', '"20260101T0000Z"', '"nan"'),
]  # fmt: skip


@dataclass
class Item:
    """An item of a batch.

    Attributes:
        text: as it is sent.
        reading: what is meant; None where the text is not, or may not be, a good reading.
    """

    text: bytes
    reading: dict[str, Any] | None


TIME_FORMS: list[Callable[[str], str]] = [
    str,
    lambda time: time.replace("+00:00", "+00"),
    lambda time: time.replace("+00:00", "-0000").replace(".", ","),
    lambda time: time.replace("+00:00", "z").replace("T", " "),
    lambda time: time.replace("-", "").replace(":", ""),
]
"""Other forms of the same time, as `datetime.isoformat` writes it."""


def _good(reading: dict[str, Any], order: int, plain: bool, form: Callable[[str], str]) -> Item:
    members = list({**reading, "timestamp": form(reading["timestamp"].replace("Z", "+00:00"))}.items())
    members = members[order % len(members) :] + members[: order % len(members)]
    return Item(json.dumps(dict(members), separators=(",", ":") if plain else None).encode(), reading)


@st.composite
def _bad(draw: st.DrawFn, readings: st.SearchStrategy[dict[str, Any]]) -> Item:
    """A reading with one thing changed, or something that never was one."""
    members = [(json.dumps(name), json.dumps(value)) for name, value in draw(readings).items()]
    at = draw(st.integers(0, len(members) - 1))
    value = draw(st.sampled_from(HOSTILE) | st.text(max_size=8).map(json.dumps) | st.floats().map(json.dumps))
    match draw(st.sampled_from(["value", "value", "value", "name", "extra", "gone", "twice", "alone", "cut"])):
        case "value":
            members[at] = (members[at][0], value)
        case "name":
            members[at] = (value, members[at][1])
        case "extra":
            members.insert(at, (draw(st.sampled_from(['"x"', '"meterId"', '"vehicleId"', '"\\u006deterId"'])), value))
        case "gone":
            del members[at]
        case "twice":
            members.insert(at, (members[at][0], value))
        case "alone":
            return Item(value.encode(errors="surrogatepass"), None)
    text = ("{" + ",".join(f"{name}:{value}" for name, value in members) + "}").encode(errors="surrogatepass")
    return Item(text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text, None)


def _items(route: str) -> st.SearchStrategy[Item]:
    readings = {"/v1/ingest/meter": METERS, "/v1/ingest/vehicle": VEHICLES}.get(route, METERS | VEHICLES)
    return st.builds(_good, readings, st.integers(0, 4), st.booleans(), st.sampled_from(TIME_FORMS)) | _bad(
        METERS | VEHICLES
    )


@dataclass
class Sent:
    """A request.

    Attributes:
        body: as it is sent.
        headers: with it.
        items: what the body was made of; None where it was damaged since then, or is not what the headers say.
    """

    body: bytes
    headers: dict[str, str | bytes]
    items: list[Item] | None


JSON, NDJSON = "application/json", "application/x-ndjson"
CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "x-gzip": gzip.compress}


@st.composite
def _damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """The body, not as it was."""
    at = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(["cut", "insert", "replace", "before", "after", "wrapped", "other"])):
        case "cut":
            return body[:at]
        case "insert":
            return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at:]
        case "replace":
            return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
        case "before":
            return (
                draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xc0\xaf", b"\xed\xa0\x80", b"["]))
                + body
            )
        case "after":
            return body + draw(st.sampled_from([b"\x00", b",", b"]", b"[]", b"\xff", b"\n{", b"\r\n\r\n"]))
        case "wrapped":
            return b"[" * draw(st.sampled_from([1, 50, 5000])) + body
        case _:
            return draw(st.binary(max_size=50) | st.text(max_size=30).map(lambda text: text.encode("utf-16")))


@st.composite
def requests_to(draw: st.DrawFn, path: str) -> Sent:
    """What may be sent to an ingest route."""
    batch = path.endswith("/batch")
    items = draw(st.lists(_items(path.removesuffix("/batch")), min_size=0 if batch else 1, max_size=6 if batch else 1))
    lines = batch and draw(st.booleans())
    whole: list[Item] | None = items
    if lines:
        body = b"\n".join(item.text for item in items) + b"\n"
        if any(not item.text.strip() or b"\n" in item.text for item in items):
            whole = None
    elif batch:
        body = b"[" + b", ".join(item.text for item in items) + b"]"
        if any(not item.reading for item in items):
            whole = None  # what breaks an item may break the array
    else:
        body = items[0].text
    headers: dict[str, str | bytes] = {"content-type": NDJSON if lines else JSON}
    if draw(st.integers(0, 3)) == 0:
        body, whole = draw(_damaged(body)), None
    if draw(st.integers(0, 7)) == 0:
        body = codecs.BOM_UTF8 + body
    if draw(st.booleans()):
        coding = draw(st.sampled_from(list(CODINGS)))
        headers["content-encoding"] = coding
        body = CODINGS[coding](body)
        if draw(st.integers(0, 3)) == 0:
            body, whole = draw(_damaged(body)), None
    if draw(st.integers(0, 7)) == 0:
        name = draw(st.sampled_from(["content-type", "content-encoding"]))
        other = [JSON, NDJSON, "text/csv", "", "application/json; charset=utf-16", "gzip", "zstd", "br", "gzip, gzip"]
        headers[name] = draw(st.sampled_from(other) | st.binary(max_size=6).map(_printable))
        whole = None
    return Sent(body, headers, whole)


def _printable(text: bytes) -> bytes:
    """A header's value may be any bytes but control characters."""
    return text.translate(None, bytes([*range(32), 127])).strip()


WRITTEN = """
SELECT
    (SELECT count(*) FROM telemetry.meter_telemetry_history)
    + (SELECT count(*) FROM telemetry.vehicle_telemetry_history) AS stored,
    (SELECT coalesce(sum(rejected), 0)::bigint FROM telemetry.rejected_source) AS refused
"""
METERS_FOUND = """
SELECT count(*) FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[]) AS u (id, at, kwh, voltage)
JOIN telemetry.meter_telemetry_history AS h
    ON h.meter_id = u.id AND h.counted_at = telemetry.counted_at(u.at)
    AND h.kwh_consumed_ac = u.kwh AND h.voltage IS NOT DISTINCT FROM u.voltage
"""
VEHICLES_FOUND = """
SELECT count(*)
FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[]) AS u (id, at, soc, kwh, temp)
JOIN telemetry.vehicle_telemetry_history AS h
    ON h.vehicle_id = u.id AND h.counted_at = telemetry.counted_at(u.at)
    AND h.soc IS NOT DISTINCT FROM u.soc AND h.kwh_delivered_dc = u.kwh AND h.battery_temp IS NOT DISTINCT FROM u.temp
"""


def possible(number: float | None, name: str) -> float | None:
    """A number as it is stored; None where no sensor measures it. All energies here are possible."""
    if number is None or (abs(number) == 1e6 and "kwh" not in name) or (number == 5e-324 and "kwh" not in name):
        return None
    return float(number)


class Books:
    """What the database holds, and what it should."""

    def __init__(self, loop: Loop, owner: Owner) -> None:
        self._loop = loop
        self._owner = owner
        self._now = self._count()

    def _count(self) -> tuple[int, int]:
        [row] = self._loop.wait(self._owner.fetch(WRITTEN))
        return row["stored"], row["refused"]

    def assert_grown(self, stored: int, refused: int) -> None:
        """Since it was asked last, so many readings came to the history, and so many to what was refused."""
        before, self._now = self._now, self._count()
        assert (self._now[0] - before[0], self._now[1] - before[1]) == (stored, refused)

    def assert_hold(self, readings: list[dict[str, Any]]) -> None:
        """Each of them is in the history, as it was sent."""
        for id_, fields, query in (
            ("meterId", ("kwhConsumedAc", "voltage"), METERS_FOUND),
            ("vehicleId", ("soc", "kwhDeliveredDc", "batteryTemp"), VEHICLES_FOUND),
        ):
            rows = [
                (
                    reading[id_],
                    datetime.fromisoformat(reading["timestamp"]),
                    *(possible(reading.get(name), name) for name in fields),
                )
                for reading in readings
                if id_ in reading
            ]
            if rows:
                found = self._loop.wait(self._owner.fetchval(query, *map(list, zip(*rows, strict=True))))
                assert found == len(rows), rows


def check_problem(answer: requests.Response) -> str:
    """Its code, of a documented problem."""
    problem = answer.json()
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert (OUTCOMES | PROBLEMS)[problem["code"]] == problem["status"] == answer.status_code, answer.text
    assert answer.status_code < 500, answer.text
    return problem["code"]


def check_one(answer: requests.Response, sent: Sent, books: Books) -> None:
    """Of a request with one reading."""
    if answer.status_code < 300:
        outcome = answer.json()["outcome"]
        assert (answer.status_code, OUTCOMES[outcome]) == (OUTCOMES[outcome], answer.status_code)
        books.assert_grown(int(outcome == "stored"), 0)
    else:
        code = check_problem(answer)
        books.assert_grown(0, int(code in OUTCOMES))
        if sent.items and sent.items[0].reading:
            assert code == "conflict", answer.text
    if sent.items and sent.items[0].reading and answer.status_code < 300:
        books.assert_hold([sent.items[0].reading])


def check_many(answer: requests.Response, sent: Sent, books: Books) -> None:
    """Of a batch."""
    if answer.headers["content-type"] == PROBLEM_MEDIA_TYPE:
        code = check_problem(answer)
        books.assert_grown(0, 0)
        assert sent.items is None or (sent.items == [] and code == "batch_empty"), answer.text
        return
    assert sent.items != [], answer.text
    said = answer.json()
    refused = said["conflicts"] + said["rejected"]
    assert said["stored"] + said["duplicates"] + refused == said["received"]
    assert answer.status_code == (201 if not refused else 422 if refused == said["received"] else 207)
    wrong = {error["index"]: error["code"] for error in said["errors"]}
    assert list(wrong) == sorted(wrong)
    assert len(wrong) == refused
    assert set(wrong) <= set(range(said["received"]))
    assert set(wrong.values()) <= OUTCOMES.keys() - {"stored", "duplicate"}
    assert list(wrong.values()).count("conflict") == said["conflicts"]
    books.assert_grown(said["stored"], refused)
    if sent.items is not None:
        assert said["received"] == len(sent.items)
        good = {index: item.reading for index, item in enumerate(sent.items) if item.reading}
        assert {wrong[index] for index in good if index in wrong} <= {"conflict"}, answer.text
        books.assert_hold([reading for index, reading in good.items() if index not in wrong])


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("path", [*ROUTES, *(f"{route}/batch" for route in ROUTES)])
async def test_whatever_the_body_the_answer_is_documented_and_the_database_agrees(
    api: Api, owner: Owner, path: str
) -> None:
    loop = Loop()
    answered: set[int] = set()

    @given(requests_to(path))
    @fuzzing(EXAMPLES)
    def check(sent: Sent) -> None:
        answer = session.post(f"{api.http.base_url}{path}", data=sent.body, headers=sent.headers)  # type: ignore[arg-type]
        answered.add(answer.status_code)
        (check_many if path.endswith("/batch") else check_one)(answer, sent, books)

    def run() -> None:
        nonlocal books
        books = Books(loop, owner)
        check()

    books: Any = None
    with requests.Session() as session:
        await beside(run)
    assert_varied(answered, {201, 400, 415, 422})
