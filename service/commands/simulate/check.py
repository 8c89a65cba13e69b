"""Check of the service: the energy balance of some vehicles, summed independently here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, TypeAlias

import aiohttp
import msgspec

TOLERANCE_KWH = 1e-6
TOLERANCE_K = 0.011
"""The service rounds a mean temperature to two decimals."""
TOLERANCE_RATIO = 1.1e-4
"""The service rounds a ratio to four decimals."""

Window: TypeAlias = tuple[int, int]
"""Unix seconds, the first one excluded, as a reading covers the time before it."""

STANDBY_KW = 0.05
"""Default standby power of a charger beside a parked vehicle; a DBA may change it."""

JITTER = 1.25
"""A window may be shorter than the interval of the devices by this factor, and is still judged."""


@dataclass(frozen=True)
class Verdict:
    """The service's answer for a vehicle, compared with the readings sent.

    Attributes:
        differences: deviations, in words; empty if there are none.
        not_comparable: the reason the two cannot be compared; empty if they can.
    """

    vehicle_id: str
    answered: dict[str, Any]
    differences: list[str]
    not_comparable: str

    @property
    def word(self) -> str:
        """`match`, `MISMATCH` or `not compared`."""
        if not self.differences:
            return "match"
        return "not compared" if self.not_comparable else "MISMATCH"


async def ask(session: aiohttp.ClientSession, vehicle_id: str, window: Window) -> dict[str, Any]:
    """Return the service's energy balance of a vehicle; an empty one for an unknown vehicle."""
    start, end = (datetime.fromtimestamp(time, UTC).isoformat() for time in window)
    path = f"/v1/analytics/performance/{vehicle_id}"
    async with session.get(path, params={"start": start, "end": end}) as response:
        answer: dict[str, Any] = msgspec.json.decode(await response.read())
        if response.status == 404:
            return expect([], window)
        if response.status != 200:
            raise aiohttp.ClientError(f"{path} answers {response.status}: {answer.get('detail')}")
        return answer


async def judge(
    session: aiohttp.ClientSession, vehicle_id: str, window: Window, expected: dict[str, Any], not_comparable: str
) -> Verdict:
    """Compare the service's answer for a vehicle with `expected`.

    `not_comparable` is the reason the two may differ, if there is one.
    """
    try:
        answered = await ask(session, vehicle_id, window)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Verdict(vehicle_id, expect([], window), [f"the service did not answer: {error}"], "")
    return Verdict(vehicle_id, answered, compare(expected, answered), not_comparable)


def expect(bodies: Iterable[bytes], window: Window, interval_s: float = 60) -> dict[str, Any]:
    """Compute the energy balance of a vehicle from readings (as JSON) of it and its meter (docs/http-api.md).

    `interval_s` is the time between two readings of either device.
    """
    meter: list[dict[str, Any]] = []
    vehicle: list[dict[str, Any]] = []
    for body in bodies:
        reading = msgspec.json.decode(body)
        time = datetime.fromisoformat(reading["timestamp"]).timestamp()
        if window[0] < time <= window[1]:
            (meter if "meterId" in reading else vehicle).append(reading)
    consumed = math.fsum(reading["kwhConsumedAc"] for reading in meter) if meter else None
    temperatures = [t for r in vehicle if (t := r.get("batteryTemp")) is not None and -60 <= t <= 120]
    delivered = math.fsum(reading["kwhDeliveredDc"] for reading in vehicle) if vehicle else None
    ratio = round(float(Fraction(delivered) / Fraction(consumed)), 4) if consumed and delivered is not None else None
    status = _status(consumed, delivered, ratio, window, interval_s)
    return {
        "totalEnergyConsumedAc": consumed,
        "totalEnergyDeliveredDc": delivered,
        "efficiencyRatio": None if status in {"unknown", "idle"} else ratio,
        "efficiencyStatus": status,
        "avgBatteryTemp": math.fsum(temperatures) / len(temperatures) if temperatures else None,
        "meterReadings": len(meter),
        "vehicleReadings": len(vehicle),
    }


def compare(expected: dict[str, Any], answered: dict[str, Any]) -> list[str]:
    """Describe the differences of `answered` from `expected`, in words."""
    tolerances = {
        "totalEnergyConsumedAc": TOLERANCE_KWH,
        "totalEnergyDeliveredDc": TOLERANCE_KWH,
        "efficiencyRatio": TOLERANCE_RATIO,
        "avgBatteryTemp": TOLERANCE_K,
    }
    differences = []
    for name, wanted in expected.items():
        found = answered[name]
        same = wanted == found
        if isinstance(wanted, float) and isinstance(found, float | int) and name in tolerances:
            same = abs(wanted - found) <= tolerances[name]
        if name == "efficiencyStatus" and not same and expected["efficiencyRatio"] is not None:
            # on the threshold itself the rounding decides
            same = min(abs(expected["efficiencyRatio"] - limit) for limit in (0.85, 1)) <= TOLERANCE_RATIO
        if not same:
            differences.append(f"{name} is {found}, expected {wanted}")
    return differences


def _status(
    consumed: float | None, delivered: float | None, ratio: float | None, window: Window, interval_s: float
) -> str:
    seconds = window[1] - window[0]
    if consumed is None or delivered is None or interval_s > JITTER * seconds:
        return "unknown"
    if delivered == 0 and consumed <= STANDBY_KW * seconds / 3600:
        return "idle"
    if ratio is None or ratio > 1:
        return "impossible"
    return "low" if ratio < 0.85 else "normal"
