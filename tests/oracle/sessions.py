"""Charging sessions, worked out from all of a vehicle's readings one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import fsum

from tests.oracle.accounting import MINUTE
from tests.oracle.balance import ratio_of, status_of
from tests.oracle.records import HistoryRow

REACH = timedelta(minutes=75)
"""The longest distance of two readings that may be the interval of the device."""
GAP = timedelta(minutes=15)


@dataclass(frozen=True)
class MeterRow:
    """A reading of a meter while it feeds the vehicle."""

    meter_id: str
    recorded_at: datetime
    kwh: float


@dataclass(frozen=True)
class Session:
    """A charging session; a measure is None where no reading has it."""

    started_at: datetime
    ended_at: datetime
    meter_id: str | None
    kwh_delivered_dc: float
    kwh_consumed_ac: float | None
    kwh_lost: float | None
    efficiency_ratio: float | None
    efficiency_status: str
    soc_start: float | None
    soc_end: float | None
    battery_temp_avg: float | None
    battery_temp_max: float | None
    mean_kw: float
    peak_kw: float
    readings: int
    meter_readings: int
    is_complete: bool


def starts_of(stamps: Sequence[datetime]) -> list[datetime]:
    """The start of the interval that each stamp ends."""
    distances = [later - earlier for earlier, later in pairwise(stamps)]
    found = []
    for place, stamp in enumerate(stamps):
        known = distances[max(0, place - 2) : place]
        if not known or known[-1] > REACH:
            found.append(stamp - MINUTE)
            continue
        interval = max(MINUTE, min(distance for distance in known if distance <= REACH))
        found.append(stamp - known[-1] if known[-1] * 4 <= interval * 5 else stamp - interval)
    return found


def groups_of(rows: Sequence[HistoryRow], gap: timedelta) -> list[tuple[datetime, list[HistoryRow]]]:
    """The start of each session with its readings, from the first with energy to the last."""
    sessions: list[tuple[datetime, list[HistoryRow]]] = []
    parked: list[HistoryRow] = []
    for row, start in zip(rows, starts_of([row.recorded_at for row in rows]), strict=True):
        if row.energy <= 0:
            parked.append(row)
            continue
        if sessions and start - sessions[-1][1][-1].recorded_at <= gap:
            sessions[-1][1].extend([*parked, row])
        else:
            sessions.append((start, [row]))
        parked = []
    return sessions


def judged(
    kwh_ac: float | None,
    drawn: Sequence[MeterRow],
    start: datetime,
    end: datetime,
    *,
    interval: timedelta,
    of_meter: timedelta,
) -> float | None:
    """The AC energy, or None where intervals of a slower meter lie across the start or the end."""
    if 4 * of_meter <= 5 * interval or not drawn:
        return kwh_ac
    begins = abs(drawn[0].recorded_at - of_meter - start) <= interval
    return kwh_ac if begins and end - drawn[-1].recorded_at <= interval else None


def is_complete(readings: int, length: timedelta, interval: timedelta) -> bool:
    """True if there are readings, and at most one is missing."""
    return readings >= max(1, length // interval - 1)


def sessions_of(
    rows: Sequence[HistoryRow],
    drawn_by: Callable[[datetime, datetime], Sequence[MeterRow]],
    interval: timedelta,
    interval_of_meter: Callable[[str], timedelta],
    gap: timedelta = GAP,
) -> list[Session]:
    """The sessions of a vehicle.

    Args:
        rows: Its readings, in order of time.
        drawn_by: The readings of its meters in (start, end], in order of time.
        interval: The time to expect between two readings of the vehicle.
        interval_of_meter: The same of a meter.
        gap: The longest time without energy within a session.
    """
    starts = dict(zip((row.recorded_at for row in rows), starts_of([row.recorded_at for row in rows]), strict=True))
    before = {later.recorded_at: earlier for earlier, later in pairwise(rows)}
    found = []
    for start, group in groups_of(rows, gap):
        end = group[-1].recorded_at
        drawn = drawn_by(start, end)
        kwh_dc, kwh_ac = fsum(row.energy for row in group), fsum(row.kwh for row in drawn) if drawn else None
        of_meter = interval_of_meter(drawn[0].meter_id) if drawn else MINUTE
        kwh_judged = judged(kwh_ac, drawn, start, end, interval=interval, of_meter=of_meter)
        status = status_of(kwh_judged, kwh_dc, length=end - start, interval=max(interval, of_meter))
        socs = [row.soc for row in group if row.soc is not None]
        previous = before.get(group[0].recorded_at)
        at_start = previous.soc if previous is not None and previous.recorded_at == start else None
        temps = [row.battery_temp for row in group if row.battery_temp is not None]
        hours = (end - start) / timedelta(hours=1)
        found.append(
            Session(
                started_at=start,
                ended_at=end,
                meter_id=drawn[0].meter_id if drawn else None,
                kwh_delivered_dc=kwh_dc,
                kwh_consumed_ac=kwh_ac,
                kwh_lost=None if kwh_judged is None else kwh_judged - kwh_dc,
                efficiency_ratio=None if status in ("unknown", "idle") else ratio_of(kwh_judged, kwh_dc),
                efficiency_status=status,
                soc_start=at_start if at_start is not None else socs[0] if socs else None,
                soc_end=socs[-1] if socs else None,
                battery_temp_avg=fsum(temps) / len(temps) if temps else None,
                battery_temp_max=max(temps, default=None),
                mean_kw=kwh_dc / hours,
                peak_kw=max(
                    row.energy / ((row.recorded_at - starts[row.recorded_at]) / timedelta(hours=1)) for row in group
                ),
                readings=len(group),
                meter_readings=len(drawn),
                is_complete=is_complete(len(group), end - start, interval)
                and is_complete(len(drawn), end - start, of_meter),
            )
        )
    return found
