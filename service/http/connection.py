"""HTTP connections with limits that uvicorn lacks: slow clients, long headers, idle connections.

Good requests cost one clock read. A sweep every second closes slow connections.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Problem
from service.http.problem_details import PROBLEM_MEDIA_TYPE, to_response
from service.observability.metrics import HTTP_REQUESTS
from service.observability.request_id import REQUEST_ID, request_id

HEADER_TIMEOUT_S = 10.0
"""From the first byte of a request, or from connecting, to the end of its headers."""
BODY_TIMEOUT_S = 60.0
"""From the first byte of a request to the end of its body."""
MAX_HEADER_BYTES = 16 * 1024
"""Limit of the path and of the names and values of headers and trailers, together with extensions of chunks."""
CHUNK_FRAMING_BYTES = 16
"""Allowed around the data of a chunk: its length, and two ends of a line."""
DRAIN_TIMEOUT_S = 60.0
"""Without one byte of a waiting answer being taken."""
MOST_UNSENT_BYTES = 128 * 1024 * 1024
STALLED_S = 5.0
"""Limits of answers in memory that the clients of a worker have not taken. Beyond these bytes, connections that took
none for this time are closed, the largest answers first. A slow client empties the kernel's buffers meanwhile."""
LINGER_S = 10.0
LINGER_BYTES = 32 * 1024 * 1024
"""Limits of what is still read of a request after its answer. A socket that is closed with unread bytes is reset, and a
client that is still sending would lose the answer."""
MOST_CONNECTIONS = 10_000
"""Open connections of a worker; beyond it idle ones are closed, or the next one."""
IDLE_S = 5.0
"""An idle connection is closed for another one only after this: a client between two requests keeps its place."""
SWEEP_S = 1.0
ENDLESS = "energy.endless"
"""Marks, in the scope of a request, an answer without an end of its own."""

_UPGRADING = {b"upgrade", b"http2-settings"}
"""Headers that ask for another protocol, and the options of `Connection` that name them."""

_sweepers: dict[int, asyncio.Task[None]] = {}


class _AnswerTransport:
    """Transport of an answer: its `close` lingers."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: GuardedProtocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.linger


def _write_nothing(_: bytes) -> None:
    """Write to a connection that is gone."""


class GuardedProtocol(HttpToolsProtocol):
    """A connection with time and size limits.

    An idle connection is closed after uvicorn's `timeout_keep_alive`, or earlier where its place is needed.
    """

    _since: float | None = None
    """Clock time at which the incomplete request began; None without one."""
    _in_headers = True
    _read = 0
    """Bytes received since then outside the body: path, headers, framing of chunks, trailers."""
    _pipelined = False
    """True if a request has ended within the bytes that are parsed now: those after it are not in `_read`."""
    _fault: Problem | None = None
    """The reason why the parser was stopped."""
    _lingers = False
    """True after the last answer of a connection that ends; later bytes are dropped."""
    _unsent = 0
    """Bytes of answers that the client had not taken at the last sweep."""
    _taken_at = 0.0
    """Clock time of the last sweep at which it had taken some, or there were none."""
    _ends_at: float | None = None
    """Clock time by which the rest of an answered request must come."""
    _dropped = 0
    """Bytes of that rest so far."""
    network = b""
    """The address that the connection is counted for; empty if it is not counted."""

    def connection_made(self, transport: Any) -> None:
        """Accept the connection.

        Beyond `MOST_CONNECTIONS`, or the most of its address, the longest idle ones are closed, else this one.
        """
        super().connection_made(transport)
        self._answers: Any = _AnswerTransport(self)
        limit: Any = getattr(self.app, "address_connections", None)
        of_address = limit.add(self) if limit else ()
        if (of_address and len(of_address) > limit.most and not _close_idle(of_address)) or (
            len(self.connections) > MOST_CONNECTIONS and not _close_idle(self.connections)
        ):
            transport.abort()
            return
        self._since = time.monotonic()
        _sweep_while_there_are(self.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is still answered. uvicorn tells only the newest of several requests that the client is gone."""
        self._answers.write = _write_nothing
        if self.network:
            self.app.address_connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; the first of a request start its clock."""
        if self._lingers:
            self._drop(data)
            return
        if self._since is None:
            self._since = time.monotonic()
        self._read += len(data)
        self._pipelined = False
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._read > MAX_HEADER_BYTES:
            self._refuse(
                "headers_too_long",
                f"path, headers, chunk extensions and trailers are longer than {MAX_HEADER_BYTES} bytes",
            )

    def _feed(self, data: bytes) -> None:
        """Parse received bytes; answer 400 to invalid HTTP."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            fault = self._fault or Problem("http_invalid", "Invalid HTTP request received.")
            self._read = max(self._read, 1)  # of a request behind another it was not counted
            self._refuse(fault.code, fault.detail)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Ignore a request's wish for another protocol, and keep its body (RFC 9110, section 7.8).

        The parser takes the bytes after the headers for the other protocol. The body would be lost, or read as the next
        request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.send_400_response("CONNECT is for proxies.")
            return
        head = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token for token in value.split(b",") if token.strip().lower() not in _UPGRADING]
                head.append(name + b": " + b",".join(kept))
            elif name not in _UPGRADING:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._feed(b"\r\n".join([*head, b"", b""]) + rest)

    def on_headers_complete(self) -> None:
        """Begin the request, if its headers are within the limit and it asks for no other protocol."""
        if self.parser.should_upgrade():
            return  # _feed parses it again
        if self._read > MAX_HEADER_BYTES or self._pipelined:  # now their length is known, and that of a body with them
            length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if length > MAX_HEADER_BYTES:
                raise self._stop("headers_too_long", f"path and headers are longer than {MAX_HEADER_BYTES} bytes")
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1 and (b"host" in names or self.parser.get_http_version() != "1.0"):
            raise self._stop("http_invalid", "a request has one Host header")
        if names.count(b"authorization") > 1:
            raise self._stop("http_invalid", "a request has at most one Authorization header")
        self._in_headers = False
        super().on_headers_complete()
        self.cycle.transport = self._answers
        headers, self.headers = self.headers, []  # fields that follow the body are no headers, and are dropped
        for name, value in headers:
            if name == b"connection" and b"keep-alive" in value.lower() and self.parser.should_keep_alive():
                self._confirm_keep_alive()

    def _stop(self, code: str, detail: str) -> Problem:
        """Return the problem to raise from a callback: the parser goes no further, and the request is refused."""
        self._fault = Problem(code, detail)
        return self._fault

    def _confirm_keep_alive(self) -> None:
        """Keep the connection, also of HTTP/1.0, and tell the client how long."""
        self.cycle.keep_alive = True
        limit = (b"keep-alive", b"timeout=%d" % self.timeout_keep_alive)
        self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"keep-alive"), limit]

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body of an accepted request."""
        if not self._in_headers:
            self._read -= min(len(body), self._read)
            super().on_body(body)
            if self.cycle.response_complete:
                self._drop(body)

    def on_chunk_complete(self) -> None:
        """Allow a chunk its framing; more than that, as extensions, counts as headers do."""
        self._read -= min(self._read, CHUNK_FRAMING_BYTES)

    def on_message_complete(self) -> None:
        """End the request: all of it has come."""
        if not self._in_headers:
            self._in_headers = True
            self._read, self._pipelined = 0, True
            self._since = None
            super().on_message_complete()
            if self._ends_at is not None:  # answered before: the client may use the connection again
                self._ends_at, self._dropped = None, 0
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )

    def on_response_complete(self) -> None:
        """Go on with the next request, once this one has come whole."""
        if self._lingers:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if not self._in_headers and self.cycle.response_complete:
            self._ends_at = time.monotonic() + LINGER_S

    def linger(self) -> None:
        """Close gracefully: end this side, and read on until the client ends its own or the limits are reached."""
        if self._since is None or not (self._read or not self._in_headers):
            self.transport.close()
            return
        if self._lingers or self.transport.is_closing():
            return
        self._lingers = True
        self._ends_at = time.monotonic() + LINGER_S
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # nothing more can be written
            self.cycle.waiting_for_100_continue = False  # which would be written
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write_eof()

    def _drop(self, data: bytes) -> None:
        """Drop a part of a request that is answered; beyond `LINGER_BYTES` the connection ends."""
        self._dropped += len(data)
        if self._dropped > LINGER_BYTES:
            self.transport.abort()

    def shutdown(self) -> None:
        """Stop serving: close endless answers now, and other connections after their answer."""
        super().shutdown()
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.scope.get(ENDLESS):
            self.transport.close()

    def is_idle(self, since: float) -> bool:
        """True if no request has come since this time of the event loop."""
        kept = self.timeout_keep_alive_task
        return kept is not None and kept.when() - self.timeout_keep_alive <= since

    def sweep(self, now: float) -> None:
        """Close the connection if the client is too slow to send, or does not take its answer.

        The time to send does not count while this side stops reading.
        """
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or not self._unsent:
            self._taken_at = now
        self._unsent = unsent
        if now - self._taken_at > DRAIN_TIMEOUT_S or (self._ends_at is not None and now > self._ends_at):
            self.transport.abort()
            return
        if self._ends_at is not None:
            return
        if self._since is None or (self.flow and self.flow.read_paused):
            return
        waited = now - self._since
        if self._in_headers:
            if waited > HEADER_TIMEOUT_S and (self.cycle is None or self.cycle.response_complete):
                self._refuse("request_timeout", f"the headers did not end within {HEADER_TIMEOUT_S:g} s")
        elif waited > BODY_TIMEOUT_S and not self.cycle.response_complete:
            self._refuse("request_timeout", f"the body did not end within {BODY_TIMEOUT_S:g} s")

    def stalled_at(self, now: float) -> int:
        """Return the bytes of answers of which none was taken for `STALLED_S`; else 0."""
        return self._unsent if now - self._taken_at > STALLED_S else 0

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to invalid HTTP; `msg` is uvicorn's."""
        self._refuse("http_invalid", msg)

    def _refuse(self, code: str, detail: str) -> None:
        """Answer with a problem, unless another answer is under way, and close the connection."""
        if self._lingers or self.transport.is_closing():
            return
        if self._read or not self._in_headers:  # a client that has sent nothing gets no answer
            cycle = self.cycle
            # in headers, the cycle is that of the request before
            if cycle is None or (cycle.response_complete if self._in_headers else not cycle.response_started):
                self.transport.write(_answer(Problem(code, detail)))
        self.linger()


def _answer(problem: Problem) -> bytes:
    """Render a problem as the last answer of a connection, for requests that never reach the application."""
    this = request_id(b"")
    REQUEST_ID.set(this.decode())
    body = to_response(problem).content
    HTTP_REQUESTS.labels("other", "unknown", problem.status).inc()
    head = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
        f"content-type: {PROBLEM_MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {this.decode()}\r\n"
        f"date: {formatdate(usegmt=True)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _close_idle(connections: set[Any]) -> bool:
    """Close the hundredth of the connections that has been idle for longest; false if none is idle for `IDLE_S`."""
    idle = [connection for connection in connections if connection.is_idle(asyncio.get_running_loop().time() - IDLE_S)]
    # several at once, as the search takes about a millisecond
    closed = heapq.nsmallest(
        len(connections) // 100 + 1, idle, key=lambda connection: connection.timeout_keep_alive_task.when()
    )
    for connection in closed:
        connection.timeout_keep_alive_handler()
        connections.discard(connection)  # not only once its end is noticed: many may come at once
    return bool(closed)


def _sweep_while_there_are(connections: set[Any]) -> None:
    """Run the sweep over `connections` until none is left; a server has one such set."""
    if id(connections) not in _sweepers:
        task = asyncio.get_running_loop().create_task(_sweep(connections))
        _sweepers[id(connections)] = task
        task.add_done_callback(lambda _: _sweepers.pop(id(connections), None))


async def _sweep(connections: set[Any]) -> None:
    while connections:
        await asyncio.sleep(SWEEP_S)
        now = time.monotonic()
        guarded = [connection for connection in connections if isinstance(connection, GuardedProtocol)]
        for connection in guarded:
            connection.sweep(now)
        _shed(guarded, now)


def _shed(connections: list[GuardedProtocol], now: float) -> None:
    """Close stalled connections, the largest answers first, while the worker has more than `MOST_UNSENT_BYTES`."""
    excess = sum(connection.transport.get_write_buffer_size() for connection in connections) - MOST_UNSENT_BYTES
    if excess <= 0:
        return
    for connection in sorted(connections, key=lambda connection: connection.stalled_at(now), reverse=True):
        unsent = connection.stalled_at(now)
        if excess <= 0 or not unsent:
            return
        excess -= unsent
        connection.transport.abort()
