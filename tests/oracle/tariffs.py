"""Prices of AC energy, quarter hour by quarter hour, with the clocks of a time zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.oracle.feeding import meter_of
from tests.oracle.records import Link, Reading

INSTANT = timedelta(microseconds=1)
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Price:
    """The price of a kWh from start until end, on these days of the week, between these minutes of the local day.

    Minutes beyond midnight are on the next day. None is without limit; a meter of None is every meter.
    """

    amount: Decimal
    currency: str
    start: datetime | None = None
    end: datetime | None = None
    meter: str | None = None
    days: str = "1234567"
    first: int = 0
    last: int = MINUTES_A_DAY

    @property
    def local_from(self) -> time:
        return time(self.first // 60, self.first % 60)

    @property
    def local_until(self) -> time:
        minute = self.last % MINUTES_A_DAY
        return time(minute // 60, minute % 60)

    def holds(self, quarter: datetime, zone: ZoneInfo) -> bool:
        """True if it holds in the quarter hour that begins then."""
        if (self.start is not None and quarter < self.start) or (self.end is not None and quarter >= self.end):
            return False
        clock = quarter.astimezone(zone)
        minute = clock.hour * 60 + clock.minute
        today, yesterday = str(clock.isoweekday()), str((clock - timedelta(days=1)).isoweekday())
        return (today in self.days and self.first <= minute < self.last) or (
            yesterday in self.days and minute + MINUTES_A_DAY < self.last
        )


def quarter_of(reading: Reading) -> datetime:
    """Return the quarter hour in which the interval of a reading ends."""
    inside = reading.recorded_at.astimezone(UTC) - INSTANT
    return inside.replace(minute=inside.minute // 15 * 15, second=0, microsecond=0)


def price_at(prices: Iterable[Price], meter: str, quarter: datetime, zone: ZoneInfo) -> Price | None:
    """Return the price of a meter, its own before that of all meters."""
    found = [p for p in prices if p.meter in {None, meter} and p.holds(quarter, zone)]
    return next((p for p in found if p.meter == meter), found[0] if found else None)


def overlaps(one: Price, other: Price) -> bool:
    """True if two prices hold at one time of validity and one minute of the week for the same meters."""
    if one.meter != other.meter:
        return False
    if one.end is not None and other.start is not None and one.end <= other.start:
        return False
    if other.end is not None and one.start is not None and other.end <= one.start:
        return False
    return bool(_week(one) & _week(other))


def _week(price: Price) -> set[int]:
    return {
        ((int(day) - 1) * MINUTES_A_DAY + minute) % (7 * MINUTES_A_DAY)
        for day in price.days
        for minute in range(price.first, price.last, 15)
    }


Costs = dict[tuple[str, datetime, str | None], tuple[Decimal, Decimal | None]]
"""Vehicle, midnight and currency -> energy (kWh) and cost; without a price both currency and cost are None."""


def costs(
    readings: Sequence[Reading],
    links: Sequence[Link],
    defaults: dict[str, str],
    prices: Sequence[Price],
    zone: ZoneInfo,
) -> Costs:
    """Return each vehicle's energy and cost by day; `defaults` are the meters of vehicles without a link."""
    found: Costs = {}
    for reading in readings:
        for vehicle, default in defaults.items():
            if meter_of(vehicle, reading.recorded_at, links, default) != reading.device_id:
                continue
            quarter = quarter_of(reading)
            price = price_at(prices, reading.device_id, quarter, zone)
            clock = quarter.astimezone(zone)
            midnight = datetime(clock.year, clock.month, clock.day, tzinfo=zone).astimezone(UTC)
            key = (vehicle, midnight, price and price.currency)
            kwh, cost = found.get(key, (Decimal(0), price and Decimal(0)))
            energy = Decimal(repr(reading.kwh))
            found[key] = (kwh + energy, None if price is None or cost is None else cost + energy * price.amount)
    return found
