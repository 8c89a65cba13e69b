"""Raw bytes on a socket: framing, trailers, upgrades, pipelines, cut anywhere. One request has one answer, in order."""

from __future__ import annotations

import json
import logging
import re
import socket
import zlib
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import OUTCOMES, PROBLEMS
from tests.fuzz.support import assert_varied, beside, fuzzing, time_limit
from tests.support import Api, meter_reading

EXAMPLES = 60
SILENCE_S = 0.1
"""After which a broken request gets no further answer: the service may wait for the rest of it."""
READING = json.dumps(meter_reading("sockets-M1")).encode()
SMUGGLED = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
"""As a body it is no JSON, 400; as a request it is 404, which no request here is."""
BODIES = st.sampled_from([READING, b" " * 5000 + READING, SMUGGLED, SMUGGLED * 3, b"", b"{}", b"\x00\xff" * 100])
STATUSES = {READING: {200, 201}, b"{}": {422}}
HEADERS = st.lists(
    st.sampled_from(
        [
            b"Connection: Upgrade\r\nUpgrade: h2c",
            b"Connection: keep-alive, Upgrade, HTTP2-Settings\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABk",
            b"Upgrade: foo",
            b"Connection: keep-alive",
            b"X-Long: " + b"a" * 3000,
            b"TE: trailers",
            b"Trailer: X-Trailer",
            b"Expect: 100-continue",
        ]
    ),
    max_size=2,
    unique=True,
)
TRAILERS = st.sampled_from(
    [b"", b"X-Trailer: a\r\n", b"Content-Type: text/plain\r\nHost: y\r\n", b"Content-Encoding: zstd\r\nExpect: x\r\n"]
)
EXTENSIONS = st.sampled_from([b"", b";a", b';a="b"'])


class Sent(NamedTuple):
    """A request, and the statuses that it may be answered with."""

    content: bytes
    statuses: set[int]


@st.composite
def _requests(draw: Any) -> Sent:
    fields = b"".join(field + b"\r\n" for field in draw(HEADERS))
    if draw(st.integers(0, 3)) == 0:
        return Sent(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"/health/live", fields), {200})
    body = draw(BODIES)
    head = b"POST /v1/ingest/meter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + fields
    packed = body
    if draw(st.booleans()):
        pack = zlib.compressobj(wbits=31)
        packed, head = pack.compress(body) + pack.flush(), head + b"Content-Encoding: gzip\r\n"
    statuses = STATUSES.get(body.strip(), {400})
    if draw(st.booleans()):
        return Sent(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed, statuses)
    size, extension = draw(st.integers(1, 4000)), draw(EXTENSIONS)
    if len(packed) // size > 500:  # extensions count as headers do
        extension = b""
    chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return Sent(head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n" + draw(TRAILERS) + b"\r\n", statuses)


def _exchange(port: int, content: bytes, cuts: list[int], silence_s: float = 20) -> tuple[bytes, bool]:
    """Send bytes in pieces. Returns what comes back until the end, or until nothing comes; true if it came whole."""
    places = sorted({min(cut, len(content)) for cut in cuts})
    pieces = [content[start:end] for start, end in zip([0, *places], [*places, len(content)], strict=True)]
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=silence_s) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                client.sendall(piece)
            while part := client.recv(1 << 16):
                received += part
        except TimeoutError:
            return received, silence_s < 1
        except OSError:  # the service has hung up on what it was still sent
            return received, False
    return received, True


def _answers(received: bytes, is_whole: bool = True) -> list[tuple[int, Any]]:
    """Status and body of each answer; the last may be cut if what came is not whole."""
    found: list[tuple[int, Any]] = []
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        if not separator:
            assert not is_whole, head
            break
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        assert match, head[:200]
        if match[1] == b"100":
            continue
        length = re.search(rb"(?im)^content-length: (\d+)", head)
        assert length, head
        body, received = received[: int(length[1])], received[int(length[1]) :]
        if len(body) < int(length[1]):
            assert not is_whole
            break
        found.append((int(match[1]), json.loads(body)))
    return found


CUTS = st.lists(st.integers(0, 20_000), max_size=6)


@pytest.mark.timeout(time_limit(EXAMPLES))
async def test_each_request_of_a_pipeline_has_its_own_answer_however_it_is_framed_and_cut(api: Api) -> None:
    port, seen = api.http.base_url.port, set()

    @fuzzing(EXAMPLES)
    @given(st.lists(_requests(), min_size=1, max_size=4), CUTS)
    @example([Sent(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", {200})] * 3, [])
    def check(sent: list[Sent], cuts: list[int]) -> None:
        last = b"GET /v1/status/meter/sockets-M2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answers = _answers(*_exchange(port, b"".join(each.content for each in sent) + last, cuts))
        statuses = [status for status, _ in answers]
        assert len(statuses) == len(sent) + 1, statuses
        for status, each in zip(statuses, sent, strict=False):
            assert status in each.statuses, (statuses, each)
        assert answers[-1][1]["code"] == "meter_unknown"
        seen.update(statuses)

    await beside(check)
    assert_varied(seen, {200, 400, 404, 422})


@pytest.mark.timeout(time_limit(EXAMPLES))
async def test_broken_requests_have_documented_answers_and_the_service_goes_on(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    port, seen = api.http.base_url.port, set()
    broken = st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                *(
                    b"\r\n",
                    b"\r\n\r\n",
                    b"\n",
                    b"\r",
                    b"\x00",
                    b" ",
                    b":",
                    b"0\r\n\r\n",
                    b"fffffffffffffffff\r\n",
                    b"-1\r\n",
                ),
                *(
                    b"Content-Length: 5\r\n",
                    b"Content-Length: 5, 6\r\n",
                    b"Content-Length: +5\r\n",
                    b"Content-Length: x\r\n",
                ),
                *(
                    b"Transfer-Encoding: chunked\r\n",
                    b"Transfer-Encoding : chunked\r\n",
                    b"Transfer-Encoding: gzip\r\n",
                ),
                *(b"Host: y\r\n", b" folded\r\n", b"HTTP/0.9", b"HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                *(
                    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                    b"a" * 17_000,
                ),
            ]
        ),
    )

    @fuzzing(EXAMPLES)
    @given(
        st.lists(_requests(), min_size=1, max_size=3),
        st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 20), broken), min_size=1, max_size=3),
        CUTS,
    )
    def check(sent: list[Sent], changes: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
        content = b"".join(each.content for each in sent)
        for place, removed, added in changes:
            content = content[:place] + added + content[place + removed :]
        for status, body in _answers(*_exchange(port, content, cuts, SILENCE_S)):
            seen.add(status)
            if status >= 400:
                assert body["code"] in PROBLEMS.keys() | OUTCOMES.keys()
                assert status not in {500, 503}, body
        assert [status for status, _ in _answers(*_exchange(port, b"GET /health/live HTTP/1.0\r\n\r\n", []))] == [200]

    await beside(check)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert_varied(seen, {200, 400, 422, 431})
