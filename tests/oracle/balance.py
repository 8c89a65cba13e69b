"""The energy that went into a vehicle against the energy that its meter gave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, fsum


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
    """A vehicle over a bucket, which belongs whole to one meter or to none."""

    meter_id: str | None
    meter_readings: int
    vehicle_readings: int
    is_complete: bool


@dataclass(frozen=True)
class FleetDay(Balance):
    """All vehicles over a local day."""

    vehicles: int
    vehicles_low: int
    vehicles_normal: int
    vehicles_impossible: int
    vehicles_unknown: int


def round_half_away(exact: Fraction, digits: int) -> float:
    """Round to so many decimals, a tie away from zero."""
    scaled = floor(abs(exact) * 10**digits + Fraction(1, 2))
    return (-scaled if exact < 0 else scaled) / 10**digits


def total(energies: Collection[float]) -> float | None:
    """The sum of the energies, None where there are none."""
    return fsum(energies) if energies else None


def rounded_mean(values: Sequence[float], digits: int) -> float | None:
    """The mean to so many decimals, None where there are no values."""
    return round_half_away(Fraction(fsum(values)) / len(values), digits) if values else None


def ratio_of(kwh_ac: float | None, kwh_dc: float | None) -> float | None:
    """How much of the meter's energy arrived, to four decimals; None where that says nothing."""
    if kwh_ac is None or kwh_dc is None or kwh_ac == 0:
        return None
    ratio = round_half_away(Fraction(kwh_dc) / Fraction(kwh_ac), 4)
    return None if ratio > 1e6 else ratio


def status_of(kwh_ac: float | None, kwh_dc: float | None) -> str:
    """What the two sums say of the vehicle, judged by the ratio as it is shown."""
    if kwh_ac is None or kwh_dc is None or kwh_ac == kwh_dc == 0:
        return "unknown"
    ratio = ratio_of(kwh_ac, kwh_dc)
    if ratio is None or ratio > 1:
        return "impossible"
    return "low" if ratio < 0.85 else "normal"


def fleet_day(rows: Sequence[Efficiency]) -> FleetDay:
    """Sum up the vehicles of one day: the energies of those which have both, the numbers of all."""
    both = [(row.kwh_ac, row.kwh_dc) for row in rows if row.kwh_ac is not None and row.kwh_dc is not None]
    kwh_ac, kwh_dc = total([ac for ac, _ in both]), total([dc for _, dc in both])
    statuses = [row.status for row in rows]
    return FleetDay(
        kwh_ac,
        kwh_dc,
        ratio_of(kwh_ac, kwh_dc),
        status_of(kwh_ac, kwh_dc),
        vehicles=len(rows),
        vehicles_low=statuses.count("low"),
        vehicles_normal=statuses.count("normal"),
        vehicles_impossible=statuses.count("impossible"),
        vehicles_unknown=statuses.count("unknown"),
    )
