"""The buckets of the aggregates, and what is told of the rows in one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import fsum
from zoneinfo import ZoneInfo

from tests.oracle.records import METER, HistoryRow

QUARTER = timedelta(minutes=15)
WIDTHS = {"15min": QUARTER, "hourly": timedelta(hours=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bucket:
    """The rows of a device in a bucket: energy, and what was measured of voltage or battery temperature."""

    kwh: float
    readings: int
    measure_min: float | None
    measure_max: float | None
    measure_sum: float | None
    measure_readings: int
    soc_first: float | None = None
    soc_last: float | None = None

    @property
    def measure_avg(self) -> float | None:
        """The mean of what was measured."""
        return None if self.measure_sum is None else self.measure_sum / self.measure_readings

    def columns(self, kind: str) -> dict[str, float | None]:
        """The columns of the kind's aggregates, the energy as kwh."""
        measure = "voltage" if kind == METER else "battery_temp"
        found: dict[str, float | None] = {"kwh": self.kwh, "readings": self.readings}
        found |= {
            f"{measure}_{what}": getattr(self, f"measure_{what}") for what in ("min", "avg", "max", "sum", "readings")
        }
        return found if kind == METER else {**found, "soc_first": self.soc_first, "soc_last": self.soc_last}


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which the local day starts; the first one, where the clock shows midnight twice."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def bucket_at(resolution: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of the bucket that the moment is in or begins, in UTC."""
    if resolution == "daily":
        return midnight(moment.astimezone(zone).date(), zone)
    return moment.astimezone(UTC) - (moment - EPOCH) % WIDTHS[resolution]


def bucket_before(resolution: str, start: datetime, zone: ZoneInfo) -> datetime:
    """The start of the bucket that ends at the start of this one."""
    if resolution == "daily":
        return midnight(start.astimezone(zone).date() - timedelta(days=1), zone)
    return start - WIDTHS[resolution]


def bucket_of(resolution: str, stamp: datetime, zone: ZoneInfo) -> datetime:
    """The start of the bucket that a reading of this timestamp counts in: one that ends there, if any does."""
    start = bucket_at(resolution, stamp, zone)
    return bucket_before(resolution, start, zone) if start == stamp else start


def bucket_end(resolution: str, start: datetime, zone: ZoneInfo) -> datetime:
    """The end of the bucket: a local day may have 23 or 25 hours."""
    if resolution == "daily":
        return midnight(start.astimezone(zone).date() + timedelta(days=1), zone)
    return start + WIDTHS[resolution]


def summarize(kind: str, rows: Sequence[HistoryRow]) -> Bucket:
    """Sum up the rows of one bucket, given in order of time; there has to be one."""
    measures = [row.voltage if kind == METER else row.battery_temp for row in rows]
    measured = [value for value in measures if value is not None]
    socs = [row.soc for row in rows if row.soc is not None]
    return Bucket(
        fsum(row.energy for row in rows),
        len(rows),
        min(measured, default=None),
        max(measured, default=None),
        fsum(measured) if measured else None,
        len(measured),
        socs[0] if socs else None,
        socs[-1] if socs else None,
    )


def merge(parts: Iterable[Bucket]) -> Bucket | None:
    """One bucket of several, given in order of time; None of none."""
    found = list(parts)
    if not found:
        return None
    socs = [(part.soc_first, part.soc_last) for part in found if part.soc_first is not None]
    sums = [part.measure_sum for part in found if part.measure_sum is not None]
    return Bucket(
        fsum(part.kwh for part in found),
        sum(part.readings for part in found),
        min((part.measure_min for part in found if part.measure_min is not None), default=None),
        max((part.measure_max for part in found if part.measure_max is not None), default=None),
        fsum(sums) if sums else None,
        sum(part.measure_readings for part in found),
        socs[0][0] if socs else None,
        socs[-1][1] if socs else None,
    )
