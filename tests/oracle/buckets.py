"""The buckets of the aggregates, and what is told of the rows in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import fsum
from zoneinfo import ZoneInfo

from tests.oracle.records import METER, HistoryRow

WIDTHS = {"15min": timedelta(minutes=15), "hourly": timedelta(hours=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MeterBucket:
    """The rows of a meter in a bucket."""

    kwh: float
    readings: int
    voltage_min: float
    voltage_avg: float
    voltage_max: float


@dataclass(frozen=True)
class VehicleBucket:
    """The rows of a vehicle in a bucket."""

    kwh: float
    readings: int
    battery_temp_min: float
    battery_temp_avg: float
    battery_temp_max: float
    soc_first: float
    soc_last: float


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which the local day starts; the first one, where the clock shows midnight twice."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def bucket_start(resolution: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of the bucket in which the moment lies, in UTC."""
    if resolution == "daily":
        return midnight(moment.astimezone(zone).date(), zone)
    return moment.astimezone(UTC) - (moment - EPOCH) % WIDTHS[resolution]


def bucket_length(resolution: str, start: datetime, zone: ZoneInfo) -> timedelta:
    """How long the bucket lasts: a local day may have 23 or 25 hours."""
    if resolution == "daily":
        tomorrow = start.astimezone(zone).date() + timedelta(days=1)
        return midnight(tomorrow, zone) - start
    return WIDTHS[resolution]


def summarize(stream: str, rows: Sequence[HistoryRow]) -> MeterBucket | VehicleBucket:
    """Sum up the rows of one bucket, given in order of time; there has to be one."""
    kwh = fsum(row.energy for row in rows)
    if stream == METER:
        voltages = [row.voltage for row in rows if row.voltage is not None]
        return MeterBucket(kwh, len(rows), min(voltages), mean(voltages), max(voltages))
    temps = [row.battery_temp for row in rows if row.battery_temp is not None]
    socs = [row.soc for row in rows if row.soc is not None]
    return VehicleBucket(kwh, len(rows), min(temps), mean(temps), max(temps), socs[0], socs[-1])


def mean(values: Sequence[float]) -> float:
    """The mean, from a sum that does not depend on the order."""
    return fsum(values) / len(values)
