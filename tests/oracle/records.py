"""What the oracle is told, and what it answers about single readings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

METER = "meter"
VEHICLE = "vehicle"


class Device(NamedTuple):
    """A device within its kind, as a meter and a vehicle may have the same id."""

    kind: str
    device_id: str


@dataclass(frozen=True)
class Profile:
    """How a device counts, and the interval that is said of it; None is not said, so the observed one holds."""

    energy_kind: str = "interval"
    register_max: float | None = None
    max_kw: float | None = None
    expected_interval: timedelta | None = None


Profiles = Mapping[Device, Profile]


class Link(NamedTuple):
    """The meter feeds the vehicle from start until end; None is without limit."""

    vehicle_id: str
    meter_id: str
    start: datetime | None
    end: datetime | None

    def covers(self, stamp: datetime) -> bool:
        """Whether a reading of this timestamp counts: its energy ends there, so start is out and end is in."""
        return (self.start is None or self.start < stamp) and (self.end is None or stamp <= self.end)

    def holds_after(self, moment: datetime) -> bool:
        """Whether the link holds in the time that follows the moment."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


POSSIBLE = {"voltage": (0, 1500), "soc": (0, 100), "battery_temp": (-60, 120)}
"""Least and most of each measure: V, %, degrees Celsius."""


@dataclass(frozen=True)
class Reading:
    """A reading as it was sent. Values which its kind does not have are None."""

    kind: str
    device_id: str
    recorded_at: datetime
    kwh: float
    voltage: float | None = None
    soc: float | None = None
    battery_temp: float | None = None

    @property
    def device(self) -> Device:
        """Who sent it."""
        return Device(self.kind, self.device_id)

    @property
    def values(self) -> tuple[float | None, ...]:
        """Everything but the key: what decides between a duplicate and a conflict."""
        return (self.kwh, self.voltage, self.soc, self.battery_temp)

    @property
    def plausible(self) -> "Reading":
        """The reading as it is stored: without the measures that no sensor can have measured."""
        kept = {
            name: value if value is not None and low <= value <= high and not 0 < abs(value) < 1e-300 else None
            for name, (low, high) in POSSIBLE.items()
            for value in (getattr(self, name),)
        }
        return replace(self, **kept)


@dataclass(frozen=True)
class HistoryRow:
    """A stored reading with the energy derived from it; register is None for a device that sends intervals."""

    recorded_at: datetime
    energy: float
    register: float | None
    voltage: float | None = field(default=None, kw_only=True)
    soc: float | None = field(default=None, kw_only=True)
    battery_temp: float | None = field(default=None, kw_only=True)
