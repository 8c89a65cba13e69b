"""Any path, query and head of a request, byte by byte: a documented answer, and a service that goes on."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import OUTCOMES, PROBLEMS
from service.http.problem_details import PROBLEM_MEDIA_TYPE
from tests.fuzz.support import assert_varied, beside, fuzzing, time_limit
from tests.support import NOW, Api, meter_reading, rfc3339, vehicle_reading

EXAMPLES = 100
KNOWN = ("parameters-M1", "parameters-V1")
PATHS = [
    *("/v1/status/meter/", "/v1/status/vehicle/", "/v1/history/meter/", "/v1/history/vehicle/", "/v1/links/"),
    *("/v1/devices/meter/", "/v1/devices/vehicle/", "/v1/analytics/performance/", "/v1/analytics/", "/docs/", "/v1/"),
]
NAMES = ["start", "end", "hours", "cursor", "limit", "below", "silentIntervals", "resolution", "format", "at", "x"]

TIMES = [
    rfc3339(NOW),
    rfc3339(NOW - timedelta(hours=5)),
    *("2026-01-01T00:00:00", "2026-01-01", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"),
    *("2026-01-01T00:00:00 02:00", "infinity", "-infinity", "now", "24:00", "1767225600", "2026-06-30T23:59:60Z"),
]
NUMBERS = [
    *("0", "1", "-1", "24", "0.85", "1e308", "-1e308", "1e309", "5e-324", "nan", "NaN", "inf", "-Infinity", "0x10"),
    *("1_000", "१", "10000", "10001", "2147483647", "2147483648", "9223372036854775808", "9" * 400, "1e4", " 7 ", ""),
]
CURSOR_PARTS = st.one_of(
    st.sampled_from(TIMES),
    st.sampled_from(
        [0, -1, 0.5, 1e308, -1e308, 5e-324, 2**63, 2**70, None, True, "", "V1", "\x00", "\ud800", "x" * 5000]
    ),
    st.floats(),
    st.text(max_size=5),
)


def _cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _listing(first: str, second: str, numbers: list[Any], vehicle: Any) -> str:
    return _cursor([first, second, *numbers, vehicle])


CURSORS = st.one_of(
    st.builds(
        lambda hours, numbers, vehicle: _listing(rfc3339(NOW - timedelta(hours=hours)), rfc3339(NOW), numbers, vehicle),
        st.integers(0, 18_000),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        st.text(max_size=5),
    ),
    # as those of /v1/analytics/efficiency, with one thing or another that the service would not have put there
    st.builds(
        _listing, st.sampled_from(TIMES), st.sampled_from(TIMES), st.lists(CURSOR_PARTS, max_size=2), CURSOR_PARTS
    ),
    st.builds(
        _listing,
        st.sampled_from(TIMES),
        st.sampled_from(TIMES),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        st.text(max_size=5),
    ),
    st.lists(CURSOR_PARTS, max_size=6).map(_cursor),
    st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
)
VALUES = st.sampled_from(TIMES) | st.sampled_from(NUMBERS) | CURSORS | st.text(max_size=20)
ENCODED = VALUES.map(lambda text: quote(text, safe="", errors="surrogatepass"))
# what stands in a URL as it is: also percent signs that encode nothing, or no UTF-8
RAW = st.text("%/?#&=+;:@!$'()*,[]\\^`{|}~\"<>.-_aZ09", max_size=20) | st.sampled_from(
    ["%", "%f", "%ff", "%00", "%0a", "%c0%af", "%ed%a0%80", "%25%00", "..", "../..", "%2e%2e%2f", ";", "//", "*"]
)
TEXT = ENCODED | RAW | st.binary(max_size=8).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw))
FITTING = {
    **dict.fromkeys(("start", "end", "at"), st.sampled_from(TIMES)),
    **dict.fromkeys(("hours", "limit", "below", "silentIntervals"), st.sampled_from(NUMBERS)),
    "cursor": CURSORS | st.sampled_from(TIMES),
    "resolution": st.sampled_from(["raw", "15min", "hourly", "daily", "RAW", "15MIN"]),
    "format": st.sampled_from(["json", "ndjson", "csv", "xml"]),
}


@st.composite
def targets(draw: st.DrawFn) -> str:
    """A path with its query."""
    path = draw(st.sampled_from(PATHS)) + draw(st.sampled_from([*KNOWN, "efficiency", "fleet"]) | TEXT)
    query = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4)):
        fits = name in FITTING and draw(st.integers(0, 3))
        value = draw(FITTING[name].map(lambda text: quote(text, safe=":", errors="surrogatepass")) if fits else TEXT)
        query.append(f"{name}={value}")
    if draw(st.integers(0, 9)) == 0:
        query.append(draw(RAW))
    target = path + ("?" + "&".join(query) if query else "")
    return "".join(character for character in target if "!" <= character <= "~")


def check(status: int, media_type: str, content: bytes) -> None:
    """The answer is what was asked for, or says in a documented way why not."""
    assert status < 500, content
    if status >= 400:
        problem = json.loads(content)
        assert media_type == PROBLEM_MEDIA_TYPE
        assert (OUTCOMES | PROBLEMS)[problem["code"]] == problem["status"] == status
        assert problem["detail"]


@pytest.fixture(scope="module")
async def devices(api: Api) -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in range(1, 60, 7)]
    await api.post("/v1/ingest/batch", [meter_reading(KNOWN[0], time) for time in times])
    await api.post("/v1/ingest/batch", [vehicle_reading(KNOWN[1], time) for time in times])
    await api.http.put(f"/v1/links/{KNOWN[1]}", json={"meterId": KNOWN[0], "from": rfc3339(times[-1])})


@pytest.mark.timeout(time_limit(EXAMPLES))
async def test_whatever_the_path_and_the_query_the_answer_is_documented(api: Api, devices: None) -> None:
    url = api.http.base_url
    seen: set[int] = set()

    @given(
        st.sampled_from(["GET"] * 8 + ["HEAD", "DELETE", "OPTIONS", "POST", "PATCH"]),
        targets(),
        st.sampled_from(
            ["*/*", "text/csv", "application/x-ndjson;q=1", "text/csv, */*", "", ",;", "é", "application/xml"]
        ),
    )
    @fuzzing(EXAMPLES)
    def ask(method: str, target: str, accept: str) -> None:
        connection.request(method, target, headers={"accept": accept.encode("latin-1")})
        answer = connection.getresponse()
        content = answer.read()
        seen.add(answer.status)
        if method != "HEAD":
            check(answer.status, answer.headers["content-type"] or "", content)
        assert answer.status < 500, target

    connection = http.client.HTTPConnection(url.host, url.port, timeout=60)
    try:
        await beside(ask)
    finally:
        connection.close()
    assert_varied(seen, {200, 404, 405, 422})


@pytest.mark.timeout(time_limit(EXAMPLES))
async def test_a_cursor_that_was_changed_is_refused_or_names_a_place(api: Api, devices: None) -> None:
    seen: set[int] = set()

    @given(st.sampled_from([f"/v1/history/meter/{KNOWN[0]}", "/v1/analytics/efficiency"]), CURSORS)
    @fuzzing(EXAMPLES)
    def ask(path: str, cursor: str) -> None:
        connection.request("GET", f"{path}?cursor={quote(cursor, safe='')}")
        answer = connection.getresponse()
        seen.add(answer.status)
        check(answer.status, answer.headers["content-type"], answer.read())

    connection = http.client.HTTPConnection(api.http.base_url.host, api.http.base_url.port, timeout=60)
    try:
        await beside(ask)
    finally:
        connection.close()
    assert_varied(seen, {200, 422})


TOKENS = st.sampled_from(
    [
        *(b"GET", b"POST", b"/v1/ingest", b"/health/live", b"*", b" ", b"  ", b"\t", b"HTTP/1.1", b"HTTP/1.0", b"PRI"),
        *(b"\r\n", b"\n", b"\r\n\r\n", b"\r", b":", b"Host", b"host: a", b"Host: a\r\nHost: b", b"HTTP/2.0"),
        *(
            b"Content-Length: %b\r\n" % length
            for length in (b"", b"0", b"5", b"-1", b"+5", b"0x5", b"99999999999", b"2, 2")
        ),
        *(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"fffffffffffffffff\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Expect: 100-continue\r\n"),
        *(
            b"Content-Type: application/json\r\n",
            b"Connection: close\r\n",
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        ),
        *(b"X-Request-ID: \xff\r\n", b"Authorization: Bearer \xff.\r\n", b"x: " + b"y" * 20_000 + b"\r\n"),
        *(b"hello", b"{}", b"[]", b"\x00", b"\x16\x03\x01\x02\x00"),
    ]
)


@pytest.mark.timeout(time_limit(EXAMPLES))
async def test_whatever_comes_on_a_socket_is_answered_or_hung_up_on(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """The client says that it has no more; what it said may be any part of a request, or several."""
    address = (api.http.base_url.host, api.http.base_url.port)
    heads = st.sampled_from(
        [
            b"",
            b"GET /health/live HTTP/1.1\r\nHost: a\r\n",
            b"POST /v1/ingest HTTP/1.1\r\nContent-Type: application/json\r\n",
        ]
    )
    statuses: set[bytes] = set()

    @given(heads, st.lists(TOKENS | st.binary(max_size=5), max_size=8), st.sampled_from([b"", b"\r\n\r\n", b"\r\n{}"]))
    @example(b"GET /health/live HTTP/1.1\r\nHost: a\r\n", [], b"\r\n\r\n")
    @fuzzing(EXAMPLES)
    def send(head: bytes, parts: list[bytes], end: bytes) -> None:
        with socket.create_connection(address, timeout=30) as client:
            try:
                client.sendall(head + b"".join(parts) + end)
                client.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            except (ConnectionResetError, BrokenPipeError):
                return
        for line in answer.split(b"\r\n"):
            if line.startswith(b"HTTP/1.1 "):
                statuses.add(line.split()[1])
        assert not answer or answer.startswith(b"HTTP/1.1 "), answer

    await beside(send)
    assert not {status for status in statuses if status >= b"5"}, statuses
    assert_varied(statuses, {b"200", b"400"})
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]
    assert (await api.http.get("/health/ready")).status_code == 200
