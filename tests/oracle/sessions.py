"""Charging sessions, worked out from all of a vehicle's readings one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    found = []
    for place, stamp in enumerate(stamps):
        distances = [
            later - earlier for earlier, later in zip(stamps[:place], stamps[1 : place + 1], strict=True)
        ][-2:][::-1]
        if not distances or distances[0] > REACH:
            found.append(stamp - MINUTE)
            continue
        known = [distances[0]] + [distance for distance in distances[1:] if distance <= REACH]
        interval = max(min(known), MINUTE)
        found.append(stamp - distances[0] if distances[0] * 4 <= interval * 5 else stamp - interval)
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
    before = {later.recorded_at: earlier for earlier, later in zip(rows, rows[1:], strict=False)}
    found = []
    for start, group in groups_of(rows, gap):
        end = group[-1].recorded_at
        drawn = drawn_by(start, end)
        kwh_dc, kwh_ac = fsum(row.energy for row in group), fsum(row.kwh for row in drawn) if drawn else None
        of_meter = interval_of_meter(drawn[0].meter_id) if drawn else MINUTE
        slower = 4 * of_meter > 5 * interval
        judged = kwh_ac
        if slower and drawn:
            first, last = drawn[0].recorded_at - of_meter, drawn[-1].recorded_at
            judged = kwh_ac if abs(first - start) <= interval and end - last <= interval else None
        elif slower:
            judged = None
        status = status_of(judged, kwh_dc, length=end - start, interval=max(interval, of_meter))
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
                kwh_lost=None if judged is None else judged - kwh_dc,
                efficiency_ratio=None if status in ("unknown", "idle") else ratio_of(judged, kwh_dc),
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
                is_complete=len(group) >= max(1, max(1, (end - start) // interval) - 1)
                and len(drawn) >= max(1, max(1, (end - start) // of_meter) - 1),
            )
        )
    return found
