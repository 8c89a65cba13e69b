"""Check of the service's alerts: faulty chargers have one, and no other device of the fleet has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
import msgspec

from service.commands.simulate.fleet import DAY_S

LEAST_S = 2 * DAY_S
"""A shorter history may lack a whole day of charging, so a faulty charger need not show."""
HORIZON_S = 7 * DAY_S
"""Older readings change no alerts."""
PATIENCE_S = 150.0
"""The service judges once a minute."""
ASK_EVERY_S = 2.0
PAGE = 10_000
RULE_KINDS = frozenset({
    "efficiency_low", "efficiency_impossible", "charger_fading", "battery_hot", "voltage_outside", "standby_high"
})  # fmt: skip
"""Faults of energies and measures. The others depend on the sending: a simulation that ends leaves silent devices."""

Fault: TypeAlias = tuple[str, str]
"""Kind of rule, and device."""


@dataclass(frozen=True)
class Score:
    """The service's alerts beside those that the faults of the fleet define."""

    expected: frozenset[Fault]
    found: frozenset[Fault]

    @property
    def precision(self) -> float:
        """Share of the alerts that are right; 1 without any."""
        return len(self.found & self.expected) / len(self.found) if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the faults that have an alert; 1 without any."""
        return len(self.found & self.expected) / len(self.expected) if self.expected else 1.0

    def words(self) -> Iterator[str]:
        """Iterate over what differs, in words."""
        for word, faults in (("missed", self.expected - self.found), ("unexpected", self.found - self.expected)):
            for rule_kind, device in sorted(faults):
                yield f"{word} alert: {rule_kind} of {device}"


def is_judged(start: float, stop: float) -> bool:
    """Return true if the service has judged enough of a simulation from `start` to `stop`, seconds of Unix time."""
    return stop - max(start, time.time() - HORIZON_S) >= LEAST_S


async def score_alerts(
    session: aiohttp.ClientSession,
    expected: frozenset[Fault],
    is_of_fleet: Callable[[str], bool],
    stopping: asyncio.Event,
) -> Score:
    """Ask for the alerts of the fleet until they are the expected ones.

    It gives up after `PATIENCE_S`, and when `stopping` is set.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        score = Score(expected, frozenset([fault async for fault in _ask(session) if is_of_fleet(fault[1])]))
        if score.found == expected or stopping.is_set() or time.monotonic() > deadline:
            return score
        try:
            await asyncio.wait_for(stopping.wait(), ASK_EVERY_S)
        except TimeoutError:
            continue


async def _ask(session: aiohttp.ClientSession) -> Any:
    parameters: dict[str, Any] = {"state": "all", "kind": "vehicle", "limit": PAGE}
    while True:
        async with session.get("/v1/alerts", params=parameters) as response:
            page = msgspec.json.decode(await response.read())
            if response.status != 200:
                raise aiohttp.ClientError(f"/v1/alerts answers {response.status}: {page.get('detail')}")
        for alert in page["items"]:
            if alert["ruleKind"] in RULE_KINDS and alert["closeReason"] != "disproved by later data":
                yield alert["ruleKind"], alert["deviceId"]
        if page["next"] is None:
            return
        parameters["cursor"] = page["next"]
