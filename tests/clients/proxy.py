"""An HTTP proxy between one client and the service, which answers some of its requests in a way of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate

import httpx


@dataclass(frozen=True)
class Sent:
    """A batch that the client sent: when (monotonic, s), its lines, and the fault or the status it met."""

    at: float
    lines: tuple[str, ...]
    met: str


class FaultyProxy:
    """Attributes: faults: of the next batches. always: of the others. most: lines of a batch. sent: batches so far."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.faults: deque[str] = deque()
        self.always: str | None = None
        self.most = 10_000
        self.sent: list[Sent] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, *_ = head.split()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            answer = await self._answer(method, path, fields.get("content-type", ""), body)
            writer.write(answer)
            await writer.drain()

    async def _answer(self, method: str, path: str, media_type: str, body: bytes) -> bytes:
        """The answer, or what there is of it."""
        if method == "HEAD":
            return await self._forward(method, path, media_type, body)
        at, lines = time.monotonic(), tuple(body.decode().splitlines())
        fault = "413" if len(lines) > self.most else self.faults.popleft() if self.faults else self.always
        if fault and fault.isdigit():
            self.sent.append(Sent(at, lines, fault))
            more = "retry-after: 1\r\n" if fault in {"429", "503"} else ""
            return _render(int(fault), f"date: {formatdate(usegmt=True)}\r\n{more}", b"{}")
        answer = await self._forward(method, path, media_type, body)
        self.sent.append(Sent(at, lines, fault or answer[9:12].decode() or "away"))
        if fault == "held":  # stored, and the client never learns it
            await asyncio.Event().wait()
        return answer[: {"unanswered": 0, "cut": 30}.get(fault or "")]

    async def _forward(self, method: str, path: str, media_type: str, body: bytes) -> bytes:
        """The answer of the service; nothing if it is away."""
        try:
            async with httpx.AsyncClient(base_url=self._service, timeout=60) as client:
                found = await client.request(method, path, content=body, headers={"content-type": media_type})
        except httpx.TransportError:
            return b""
        # names in capitals, as other proxies have them
        return _render(found.status_code, f"Date: {found.headers['date']}\r\n", found.content)


def _render(status: int, fields: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\n{fields}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@contextlib.asynccontextmanager
async def faulty_proxy(service: str) -> AsyncIterator[FaultyProxy]:
    proxy = FaultyProxy(service)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(proxy.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [end for end in ends if isinstance(end, Exception)], ends
