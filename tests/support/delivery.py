"""Alerts as rows, without an evaluation, and a receiver of what is sent about them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from tests.support import Owner, now

INSERT = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, value, threshold, reason, details,
        closed_at, close_reason
    )
    VALUES (
        $1, $1, $2, $3, $4, $5, $5, 0.79, 0.85, 'efficiency 79 % is below 85 %', '{"kwh_consumed_ac": 40}',
        $6, CASE WHEN $6::timestamptz IS NOT NULL THEN 'over' END
    )
    RETURNING id
"""
CLOSE = "UPDATE telemetry.alert SET closed_at = opened_at + INTERVAL '1 second', close_reason = 'over' WHERE id = $1"
REOPEN = "UPDATE telemetry.alert SET closed_at = NULL, close_reason = NULL WHERE id = $1"


async def open_alert(
    owner: Owner,
    device: str,
    rule_kind: str = "efficiency_low",
    severity: str = "warning",
    kind: str = "vehicle",
    closed_at: datetime | None = None,
) -> int:
    """Store an alert that was opened now, and return its number."""
    return await owner.fetchval(INSERT, rule_kind, kind, device, severity, now(), closed_at)


@dataclass(frozen=True)
class Received:
    """A request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A receiver on loopback that remembers every request, and answers what `answer` returns: a status, or more."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.answer: Callable[[web.Request], Any] = lambda _: 204
        self._news = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, await request.read()))
        self._news.set()
        answer = self.answer(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        return web.Response(status=answer) if isinstance(answer, int) else answer

    async def wait_for(self, condition: Callable[[list[Received]], Any], seconds: float = 30) -> list[Received]:
        """Wait until what was received fulfils a condition."""
        async with asyncio.timeout(seconds):
            while not condition(self.received):
                self._news.clear()
                await self._news.wait()
        return self.received


@contextlib.asynccontextmanager
async def receiving(port: int = 0, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl_context).start()
    scheme = "https" if ssl_context else "http"
    receiver.url = f"{scheme}://localhost:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
