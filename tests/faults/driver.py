"""A fleet that numbers its readings and retries blindly, and the comparison of what it heard with what is stored."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import aiohttp
import msgspec
import psycopg

from tests.support import rfc3339

BASE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=20)
STEP = timedelta(seconds=1)
RETRY = (429, 503)
"""Answers after which a reading is sent again; every other but 200 and 201 is a fault of the service."""

_ENERGY = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}
_OTHERS: dict[str, dict[str, float]] = {"meter": {"voltage": 230.0}, "vehicle": {"soc": 50.0, "batteryTemp": 30.0}}
_SENT_ENERGY = {"meter": "kwhConsumedAc", "vehicle": "kwhDeliveredDc"}

_JSON = {"Content-Type": "application/json"}

Kind = Literal["meter", "vehicle"]


@dataclass
class Device:
    """Sends reading 0, 1, 2, ...; the next only after the one before was acknowledged."""

    kind: Kind
    name: str
    sent: int = 0
    acknowledged: int = 0

    def reading(self, number: int) -> dict[str, Any]:
        energy = {_SENT_ENERGY[self.kind]: float(number)}
        return {f"{self.kind}Id": self.name, "timestamp": rfc3339(BASE + number * STEP), **energy, **_OTHERS[self.kind]}


@dataclass
class Fleet:
    """Devices that send as fast as they are answered, `batch` readings a request, from `start` to `stop`.

    Attributes:
        pause: seconds before a reading is sent again.
        every: seconds from one request of a device to its next, where it is not kept waiting for longer.
        answers: how often which status, or "none", was the answer.
        wrong: answers that no device should see, as text.
        duplicates: readings that were acknowledged as stored before.
        acknowledged_at: when, and how many, in order.
        refused_after: seconds until each answer of `RETRY`.
        answered_after: seconds until each acknowledgement.
    """

    url: str
    devices: list[Device]
    batch: int = 1
    timeout: float = 30.0
    pause: float = 0.1
    every: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    duplicates: int = 0
    acknowledged_at: list[tuple[float, int]] = field(default_factory=list)
    refused_after: list[float] = field(default_factory=list)
    answered_after: list[float] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    @property
    def acknowledged(self) -> int:
        return sum(device.acknowledged for device in self.devices)

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._send_all(device)) for device in self.devices]

    async def stop(self) -> None:
        """Let each device hear about its last reading; of those that do not within the time-out, nobody knows."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def run(self, seconds: float) -> None:
        await self.start()
        await asyncio.sleep(seconds)
        await self.stop()

    def rate(self, begin: float, end: float) -> float:
        """Readings acknowledged a second between two times of `time.monotonic()`."""
        return sum(count for at, count in self.acknowledged_at if begin <= at < end) / (end - begin)

    def recovery(self, moment: float) -> float:
        """Seconds from `moment` to the first acknowledgement after it."""
        return next((at for at, _ in self.acknowledged_at if at > moment), float("inf")) - moment

    def longest_silence(self) -> float:
        """Most seconds in which nothing was acknowledged."""
        return max(
            (later - sooner for (sooner, _), (later, _) in itertools.pairwise(self.acknowledged_at)), default=0.0
        )

    async def until(self, count: int, *, seconds: float = 60) -> None:
        """Wait until `count` more readings are acknowledged."""
        goal = self.acknowledged + count
        async with asyncio.timeout(seconds):
            while self.acknowledged < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _send_all(self, device: Device) -> None:
        # a connection of its own, as devices have
        connector = aiohttp.TCPConnector(limit=1)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while not self._stopping:
                await self._send(session, device)

    async def _send(self, session: aiohttp.ClientSession, device: Device) -> None:
        """Send the next readings until they are acknowledged."""
        begin = device.acknowledged
        device.sent = end = begin + self.batch
        readings = [device.reading(number) for number in range(begin, end)]
        path = f"/v1/ingest/{device.kind}" + ("/batch" if self.batch > 1 else "")
        body = msgspec.json.encode(readings if self.batch > 1 else readings[0])
        while True:
            asked = time.monotonic()
            try:
                async with session.post(self.url + path, data=body, headers=_JSON) as answer:
                    status, found = answer.status, await answer.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.answers["none"] += 1
            else:
                now = time.monotonic()
                self.answers[str(status)] += 1
                if self._is_acknowledged(status, found):
                    device.acknowledged = end
                    self.acknowledged_at.append((now, self.batch))
                    self.answered_after.append(now - asked)
                    await asyncio.sleep(max(0.0, asked + self.every - now))
                    return
                if status not in RETRY:
                    self.wrong.append(f"{status} {found}")
                    return
                self.refused_after.append(now - asked)
            if self._stopping:
                return
            await asyncio.sleep(max(self.pause, asked + self.every - time.monotonic()))

    def _is_acknowledged(self, status: int, found: dict[str, Any]) -> bool:
        if status not in {200, 201}:
            return False
        if self.batch == 1:
            self.duplicates += found["outcome"] == "duplicate"
            return found["outcome"] == {200: "duplicate", 201: "stored"}[status]
        self.duplicates += found["duplicates"]
        return found["received"] == self.batch == found["stored"] + found["duplicates"]


_fleets = itertools.count(1)


def fleet(url: str, devices: int = 16, **options: Any) -> Fleet:
    """New devices, half of them meters, half vehicles."""
    kinds: tuple[Kind, Kind] = ("meter", "vehicle")
    name = f"fault{next(_fleets)}"
    return Fleet(url, [Device(kinds[n % 2], f"{name}-{n}") for n in range(devices)], **options)


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(int(len(values) * percent / 100), len(values) - 1)] if values else 0.0


@dataclass
class Verdict:
    """What became of the readings of a fleet."""

    acknowledged: int = 0
    stored: int = 0
    missing: int = 0
    twice: int = 0
    never_sent: int = 0
    status_wrong: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.missing or self.twice or self.never_sent or self.status_wrong)


def compare(database_url: str, *fleets: Fleet) -> Verdict:
    """Read everything that is stored, and compare it with what was sent and acknowledged."""
    verdict = Verdict()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("RESET ROLE")  # the one session of an embedded database may have another
        for kind, energy in _ENERGY.items():
            history: dict[str, list[tuple[datetime, float]]] = {}
            rows = f"SELECT {kind}_id, {{}}, {energy} FROM telemetry.{kind}_{{}}"
            for name, at, value in connection.execute(
                rows.format("telemetry.recorded_at(counted_at)", "telemetry_history")
            ):
                history.setdefault(name, []).append((at, value))
            found = connection.execute(rows.format("recorded_at", "current_status"))
            status = {name: (at, value) for name, at, value in found}
            for device in (device for fleet in fleets for device in fleet.devices if device.kind == kind):
                _judge(verdict, device, history.pop(device.name, []), status.pop(device.name, None))
            verdict.never_sent += sum(map(len, history.values()))
            verdict.status_wrong += len(status)
    return verdict


def _judge(
    verdict: Verdict, device: Device, stored: list[tuple[datetime, float]], status: tuple[datetime, float] | None
) -> None:
    counts = Counter(stored)
    sent = {(BASE + number * STEP, float(number)) for number in range(device.sent)}
    acknowledged = {(BASE + number * STEP, float(number)) for number in range(device.acknowledged)}
    verdict.acknowledged += len(acknowledged)
    verdict.stored += len(counts)
    verdict.missing += len(acknowledged - counts.keys())
    verdict.twice += sum(count - 1 for count in counts.values())
    verdict.never_sent += len(counts.keys() - sent)
    verdict.status_wrong += status != max(counts, default=None)
