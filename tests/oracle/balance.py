"""The energy that went into a vehicle against the energy that its meter gave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor, fsum

JUDGED = ("normal", "low", "impossible")
STANDBY_KW = 0.05
"""Limit of the power that a meter draws beside an idle vehicle, unless the fleet says otherwise."""


@dataclass(frozen=True)
class Balance:
    """The two sums and what they say; a sum is None where there is nothing to add up."""

    kwh_ac: float | None
    kwh_dc: float | None
    ratio: float | None
    status: str


@dataclass(frozen=True)
class Performance(Balance):
    """A vehicle over a window of time."""

    meter_readings: int
    vehicle_readings: int
    battery_temp: float | None
    meter_ids: frozenset[str]


@dataclass(frozen=True)
class Efficiency(Balance):
    """A vehicle over a bucket, which belongs whole to one meter; that is None where it has no reading in it."""

    meter_id: str | None
    meter_readings: int
    vehicle_readings: int
    meter_readings_expected: int
    vehicle_readings_expected: int

    @property
    def is_complete(self) -> bool:
        """True if each side has readings, and lacks at most one of them."""
        return self.meter_readings >= max(1, self.meter_readings_expected - 1) and self.vehicle_readings >= max(
            1, self.vehicle_readings_expected - 1
        )

    @property
    def readings_share(self) -> float:
        """The share of the expected readings of the side that has the smaller one."""
        return min(
            1.0,
            self.meter_readings / self.meter_readings_expected,
            self.vehicle_readings / self.vehicle_readings_expected,
        )


@dataclass(frozen=True)
class FleetBalance(Balance):
    """The vehicles of a fleet: the sums of those that are judged, and how many there are of each status."""

    vehicles: int
    vehicles_normal: int
    vehicles_low: int
    vehicles_impossible: int
    vehicles_idle: int
    vehicles_unknown: int


def round_half_away(exact: Fraction, digits: int) -> float:
    """Round to so many decimals, a tie away from zero."""
    scaled = floor(abs(exact) * 10**digits + Fraction(1, 2))
    return (-scaled if exact < 0 else scaled) / 10**digits


def total(energies: Collection[float]) -> float | None:
    """The sum of the energies, None where there are none."""
    return fsum(energies) if energies else None


def rounded_mean(sum_: float | None, count: int, digits: int) -> float | None:
    """The mean to so many decimals, None where there are no values."""
    return None if sum_ is None else round_half_away(Fraction(sum_) / count, digits)


def ratio_of(kwh_ac: float | None, kwh_dc: float | None) -> float | None:
    """How much of the meter's energy arrived, to four decimals; None where that says nothing."""
    if kwh_ac is None or kwh_dc is None or kwh_ac == 0:
        return None
    ratio = round_half_away(Fraction(kwh_dc) / Fraction(kwh_ac), 4)
    return None if ratio > 1e6 else ratio


def standby_of(length: timedelta, standby_kw: float) -> float:
    """The most energy that a meter gives in the time without charging."""
    return float(
        Fraction(standby_kw) * Fraction(length // timedelta.resolution, timedelta(hours=1) // timedelta.resolution)
    )


def status_of(
    kwh_ac: float | None,
    kwh_dc: float | None,
    *,
    length: timedelta,
    interval: timedelta,
    standby_kw: float = STANDBY_KW,
) -> str:
    """The status of the two sums over a time, judged by the ratio as it is shown.

    Args:
        kwh_ac: What the meter gave.
        kwh_dc: What arrived in the vehicle.
        length: The time both are summed over.
        interval: The longer interval of the two devices; where it is longer than the time (by more than a quarter),
            the energy of one reading belongs to more than that time.
        standby_kw: What a meter may draw while nothing is charged.
    """
    if kwh_ac is None or kwh_dc is None or 4 * interval > 5 * length:
        return "unknown"
    if kwh_dc == 0 and kwh_ac <= standby_of(length, standby_kw):
        return "idle"
    ratio = ratio_of(kwh_ac, kwh_dc)
    if ratio is None or ratio > 1:
        return "impossible"
    return "low" if ratio < 0.85 else "normal"


def shown_ratio(kwh_ac: float | None, kwh_dc: float | None, status: str) -> float | None:
    """The ratio where there is an efficiency to judge."""
    return ratio_of(kwh_ac, kwh_dc) if status in JUDGED else None


def fleet_balance(rows: Sequence[Balance]) -> FleetBalance:
    """Sum up vehicles: the energies of those that are judged, the numbers of all."""
    judged = [(row.kwh_ac, row.kwh_dc) for row in rows if row.status in JUDGED]
    kwh_ac = total([ac for ac, _ in judged if ac is not None])
    kwh_dc = total([dc for _, dc in judged if dc is not None])
    statuses = [row.status for row in rows]
    if judged:
        status = status_of(kwh_ac, kwh_dc, length=timedelta(days=1), interval=timedelta(0), standby_kw=0)
    else:
        status = "idle" if "idle" in statuses else "unknown"
    return FleetBalance(
        kwh_ac,
        kwh_dc,
        ratio_of(kwh_ac, kwh_dc),
        status,
        vehicles=len(rows),
        vehicles_normal=statuses.count("normal"),
        vehicles_low=statuses.count("low"),
        vehicles_impossible=statuses.count("impossible"),
        vehicles_idle=statuses.count("idle"),
        vehicles_unknown=statuses.count("unknown"),
    )


def distribution(ratios: Sequence[float]) -> list[int]:
    """The number of ratios in each band of 0.05 from 0 to 1, and from 1 on."""
    bands = [0] * 21
    for ratio in ratios:
        bands[min(20, round(ratio * 10_000) // 500)] += 1
    return bands
