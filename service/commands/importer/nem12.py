"""Rows of a NEM12 file, the interval data of Australian meters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TextIO

from service.commands.importer.rows import LONGEST_LINE, FormatError, Row, RowsOfDicts, bounded_lines
from service.errors import Problem

_MARKET_TIME = timezone(timedelta(hours=10))
"""Time of the files: UTC+10 in every state, all year."""
_DAY_MINUTES = 1440
_KWH_OF_UNIT = {"wh": 0.001, "kwh": 1.0, "mwh": 1000.0}
_ACTUAL = "A"
_VARIABLE = "V"


class _Register(NamedTuple):
    """A register of a meter (record 200): the id of its readings, minutes of an interval, kWh of its unit."""

    meter_id: str
    minutes: int
    factor: float


class _Day(NamedTuple):
    """A day of a register (record 300): first line, start, energies as text, and a quality for each of them."""

    line: int
    start: datetime
    values: list[str]
    qualities: list[str]


class Nem12Rows(RowsOfDicts):
    """Rows with an interval each: meterId, timestamp, kwhConsumedAc.

    Registers E are consumption; others are left out. So are intervals that are not actual (A) but substituted,
    estimated or empty. The meter is the NMI for register E1, and NMI-E2 and so on for the others.
    """

    def __init__(self, content: TextIO, share: Callable[[], float]) -> None:
        """Begin to read.

        Raises:
            FormatError: the file does not begin as NEM12 does.
        """
        super().__init__(share)
        self._lines = bounded_lines(content)
        first = next(((number, line) for number, line in self._lines if line.strip()), (1, ""))
        if not re.match(r"100,NEM12\b|200,", first[1], re.IGNORECASE):
            raise FormatError(f"line {first[0]} is no NEM12 header: it must begin with 100,NEM12")
        self._first = first
        self.names = ["meterId", "timestamp", "kwhConsumedAc"]
        self.facts = {"zone": "UTC+10, market time"}

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all intervals, once."""
        register: _Register | None = None
        day: _Day | None = None
        for number, line in self._records():
            cells = [cell.strip() for cell in line.split(",")]
            if cells[0] == "400" and day:
                if problem := _apply(cells, day.qualities):
                    yield Row(number, line, problem)
                continue
            if day and register:
                yield from self._intervals(day, register)
            day = None
            if len(line) >= LONGEST_LINE:
                yield Row(number, line, Problem("item_malformed", f"the line is longer than {LONGEST_LINE} characters"))
            elif cells[0] == "200":
                register, problem = self._register(cells)
                if problem:
                    yield Row(number, line, problem)
            elif cells[0] == "300" and register:
                found = _day(number, cells, register)
                if isinstance(found, Problem):
                    yield Row(number, line, found)
                else:
                    day = found
            elif cells[0] not in {"100", "300", "400", "500", "900"}:
                yield Row(
                    number, line, Problem("item_malformed", f"record indicator {cells[0][:64]!r} is not of NEM12")
                )
        if day and register:
            yield from self._intervals(day, register)

    def _records(self) -> Iterator[tuple[int, str]]:
        yield self._first
        for number, line in self._lines:
            if line.strip():
                yield number, line

    def _register(self, cells: list[str]) -> tuple[_Register | None, Problem | None]:
        """Read a record 200; a register that is not consumption is left out with its days."""
        if len(cells) < 9:
            return None, Problem("item_malformed", f"record 200 has {len(cells)} cells, not 9: its days are not read")
        nmi, suffix, unit, minutes = cells[1], cells[4] or cells[3], cells[7], cells[8]
        if not suffix.upper().startswith("E"):
            self.left_out[f"registers {suffix[:2]}, not consumption"] += 1
            return None, None
        if unit.lower() not in _KWH_OF_UNIT:
            self.left_out[f"registers {suffix[:2]} in {unit[:8]}, not in kWh"] += 1
            return None, None
        if minutes not in {"5", "15", "30"}:
            return None, Problem("item_malformed", f"interval length {minutes[:16]!r} is not 5, 15 or 30 minutes")
        meter_id = nmi if suffix.upper() == "E1" else f"{nmi}-{suffix}"
        return _Register(meter_id, int(minutes), _KWH_OF_UNIT[unit.lower()]), None

    def _intervals(self, day: _Day, register: _Register) -> Iterator[Row]:
        for place, (value, quality) in enumerate(zip(day.values, day.qualities, strict=True), 1):
            if quality[:1] != _ACTUAL:
                self.left_out[f"intervals of quality {quality[:3] or 'unknown'}, not actual"] += 1
                continue
            cells: dict[str, Any] = {
                "meterId": register.meter_id,
                "timestamp": day.start + place * timedelta(minutes=register.minutes),
                "kwhConsumedAc": _energy(value, register.factor),
            }
            yield Row(day.line, cells)


def _day(line: int, cells: list[str], register: _Register) -> _Day | Problem:
    count = _DAY_MINUTES // register.minutes
    if len(cells) < count + 3:
        return Problem("item_malformed", f"record 300 has {len(cells)} cells, not a date, {count} values and a quality")
    try:
        start = datetime.strptime(cells[1][:8], "%Y%m%d").replace(tzinfo=_MARKET_TIME)
    except ValueError:
        return Problem("timestamp_invalid", f"record 300 has the date {cells[1][:64]!r}, not one written YYYYMMDD")
    return _Day(line, start, cells[2 : count + 2], [cells[count + 2].upper()] * count)


def _apply(cells: list[str], qualities: list[str]) -> Problem | None:
    """Set the qualities of a record 400: of the intervals from the second cell to the third, counted from 1."""
    try:
        start, end = int(cells[1]), int(cells[2])
        if not 1 <= start <= end <= len(qualities):
            raise ValueError
        qualities[start - 1 : end] = [cells[3].upper()] * (end - start + 1)
    except (IndexError, ValueError):
        return Problem("item_malformed", f"record 400 must have intervals of 1 to {len(qualities)} and a quality")
    return None


def _energy(value: str, factor: float) -> Any:
    """Return kWh, or the text if it is no number, which is then rejected as such."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII):
        return value or None
    return float(value) * factor if factor >= 1 else float(value) / round(1 / factor)
