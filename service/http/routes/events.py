"""GET /v1/events: the fleet's pulse as server-sent events, every few seconds.

A worker asks the database once for all its listeners, and never without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextvars import Context
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from litestar.response import Stream
from msgspec import Struct

from service.database.calls import GET_FLEET_PULSE
from service.database.pool import Database
from service.errors import Problem
from service.http.connection import ENDLESS
from service.http.openapi import problems
from service.http.problem_details import from_exception

EVERY_S = 4.0
LONGEST_S = 600.0
"""A connection ends after this, and the page opens the next one. So a revoked key does not listen for ever."""
MOST_LISTENERS = 100
"""Listeners of a worker."""


class Pulse(Struct, rename="camel", frozen=True):
    """The fleet at a moment, and its time zone (IANA name).

    A device is silent after 5 of its expected intervals without a reading. `alertsCritical` counts those of the open
    alerts that are critical.
    """

    time_zone: str
    at: datetime
    last_received_at: datetime | None
    readings_per_minute: float
    meters: int
    meters_silent: int
    vehicles: int
    vehicles_silent: int
    vehicles_charging: int
    alerts_open: int
    alerts_critical: int


class Pulses:
    """The pulse of the fleet, queried once for all listeners of this worker.

    Args:
        every_s: between two questions, seconds.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._listeners = 0
        self._event = b""
        self._changed = asyncio.Condition()
        self._number = 0
        self._asking: asyncio.Task[None] | None = None

    async def listen(self, database: Database) -> AsyncIterator[bytes]:
        """Iterate over events from now on. A slow listener misses some; none are queued for it.

        The first value is empty: the listener is admitted and counted, in one step.

        Raises:
            Problem: `overloaded`: the worker has its most listeners.
        """
        if self._listeners >= MOST_LISTENERS:
            raise Problem("overloaded", f"{MOST_LISTENERS} listen already; ask /v1/fleet instead, or retry")
        self._listeners += 1
        try:
            yield b""
            if self._asking is None or self._asking.done():
                self._number, self._event = 0, b""
                # a context of its own: the task works for all listeners, and must not carry the id of the first
                asking = self._ask(database)
                self._asking = asyncio.get_running_loop().create_task(asking, context=Context())
            yield b"retry: 2000\n\n"
            ends_at = time.monotonic() + LONGEST_S
            seen = 0
            while time.monotonic() < ends_at:
                async with self._changed:
                    while self._number <= seen:
                        await self._changed.wait()
                    seen, event = self._number, self._event
                yield event
        finally:
            self._listeners -= 1

    async def _ask(self, database: Database) -> None:
        while self._listeners:
            event = await _event(database)
            async with self._changed:
                self._number += 1
                self._event = event
                self._changed.notify_all()
            await asyncio.sleep(self._every_s)


async def _event(database: Database) -> bytes:
    """Return the pulse as an event, or a `problem` event; either one shows that the connection lives."""
    try:
        pulse = Pulse(**await database.read_row(GET_FLEET_PULSE))
    except Exception as error:  # whatever it is, the next query may succeed
        code = from_exception(error).code
        return b'event: problem\ndata: {"code":"%b"}\n\n' % code.encode()
    return b"event: pulse\ndata: %b\n\n" % msgspec.json.encode(pulse)


@get(
    "/v1/events",
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            Pulse,
            generate_examples=False,
            media_type="text/event-stream",
            description="server-sent events: `pulse` with such an object every 4 s, `problem` with a code where the "
            "database does not answer; ends after 10 minutes",
        ),
        **problems(503),
    },
    tags=["status"],
    summary="The fleet's pulse, live",
)
async def get_events(request: Request[Any, Any, Any], state: State) -> Stream:
    """Readings per minute, devices reporting and silent, now and every few seconds."""
    pulses: Pulses = state.pulses
    events = pulses.listen(state.database)
    await anext(events)  # admitted, or refused before the answer begins
    request.scope[ENDLESS] = True  # type: ignore[literal-required]
    return Stream(
        events,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
