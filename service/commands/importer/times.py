"""Times of a file: ISO 8601, a format of its own, or an epoch; in a zone where they have no offset."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from service.commands.importer.values import Faults, missing
from service.errors import Problem
from service.readings.storable import storable_time
from service.readings.times import read_time

_NOBODYS_TIME = datetime(1, 1, 2)
EPOCHS = {"epoch-s": 1_000_000, "epoch-ms": 1_000}
"""Time formats that count from 1970-01-01T00:00:00Z -> microseconds of one step."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_DAY = re.compile(r"(?<!\d)24(:?)00(?:(:?)00)?(?!\d)")


class Times:
    """Parser of times: ISO 8601 with an offset, unless a format or a zone is given.

    A local time that the zone's clocks show twice or never is a fault, as its moment is ambiguous. With `by_order`, one
    that is shown twice is the first moment after the device's time before it.
    """

    def __init__(self, zone: ZoneInfo | None, format_: str | None, *, by_order: bool = False) -> None:
        self._zone = zone
        self._format = format_
        self._by_order = by_order
        self._last: dict[str, datetime] = {}

    def times(self, name: str, column: Sequence[Any], faults: Faults, ids: Iterable[str] = ()) -> list[datetime]:
        """Convert the times of a column, of the devices `ids`; repeated ones are parsed once."""
        try:
            distinct = set(column)
        except TypeError:  # a JSON array or object
            column = [value if isinstance(value, Hashable) else str(value) for value in column]
            distinct = set(column)
        known: dict[Any, datetime] = {}
        wrong: dict[Any, Problem] = {}
        twice: dict[Any, tuple[datetime, datetime]] = {}
        for value in distinct:
            try:
                moments = self._parse(name, value)
                known[value] = moments[0]
                if len(moments) == 2:
                    twice[value] = moments
            except Problem as problem:
                # a new one: the raised one keeps this frame alive, and with it every row of the chunk
                known[value], wrong[value] = _NOBODYS_TIME, Problem(problem.code, problem.detail)
        if wrong:
            for index, value in enumerate(column):
                if value in wrong:
                    faults.setdefault(index, wrong[value])
        found = [known[value] for value in column]
        if self._by_order:
            self._order(name, column, found, ids, wrong, twice, faults)
        return found

    def _order(  # noqa: PLR0913, PLR0917
        self,
        name: str,
        column: Sequence[Any],
        found: list[datetime],
        ids: Iterable[str],
        wrong: dict[Any, Problem],
        twice: dict[Any, tuple[datetime, datetime]],
        faults: Faults,
    ) -> None:
        """Choose the moments of times that are shown twice, by the order of each device's rows."""
        for index, (device, value) in enumerate(zip(ids, column, strict=False)):
            if value in wrong:
                continue
            last = self._last.get(device)
            if value in twice:
                later = [moment for moment in twice[value] if last is None or moment > last]
                if not later:
                    detail = f"{name} {value} is shown twice by the clocks, and the rows are not in the order of time"
                    faults.setdefault(index, Problem("timestamp_invalid", detail))
                    continue
                found[index] = later[0]
            self._last[device] = found[index]

    def _parse(self, name: str, value: Any) -> tuple[datetime, ...]:
        """Return the moment of a time; two, in their order, for one that is shown twice and told by order."""
        time = value
        hint = "" if self._format else ": give its form with --time-format"
        if value in {None, ""}:
            raise missing(name)
        if self._format in EPOCHS and not isinstance(value, datetime):
            return (_from_epoch(name, value, self._format),)
        if isinstance(value, str):
            time = self._formatted(value) if self._format else read_time(value)
            if time is None:
                wanted = f"written {self._format}" if self._format else "an ISO 8601 time as 2026-02-08T18:00:00Z"
                raise Problem("timestamp_invalid", f"{name} must be {wanted}, not {value[:64]!r}{hint}")
        if not isinstance(time, datetime):
            kind = "a date" if isinstance(value, date) else "a number"
            raise Problem("timestamp_invalid", f"{name} must be a time, not {kind} ({str(value)[:64]}){hint}")
        moments = (time,) if time.tzinfo else self._in_zone(name, time)
        return tuple(map(storable_time, moments))

    def _formatted(self, text: str) -> datetime | None:
        """Parse a time of the format; 24:00 ends the day, which strptime does not know."""
        try:
            return datetime.strptime(text, str(self._format))
        except ValueError:
            pass
        midnight, count = _END_OF_DAY.subn(lambda end: end[0].replace("24", "00", 1), text)
        try:
            return datetime.strptime(midnight, str(self._format)) + timedelta(days=1) if count == 1 else None
        except (ValueError, OverflowError):
            return None

    def _in_zone(self, name: str, time: datetime) -> tuple[datetime, ...]:
        if self._zone is None:
            raise Problem("timestamp_invalid", f"{name} {time} has no offset: give the --timezone of its clocks")
        first, second = (time.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        ahead, then = (moment.utcoffset() or timedelta() for moment in (first, second))
        if ahead == then:
            return (first,)
        # clocks that go forward skip an hour, clocks that go back show one twice
        if ahead > then and self._by_order:
            # in UTC, as times of one zone are compared by their clocks
            return (storable_time(first).astimezone(UTC), storable_time(second).astimezone(UTC))
        shown = "never" if ahead < then else "twice"
        raise Problem("timestamp_invalid", f"{name} {time} is shown {shown} by the clocks of {self._zone.key}")


def _from_epoch(name: str, value: Any, format_: str | None) -> datetime:
    """Convert a number of seconds or milliseconds since 1970."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", str(value), re.ASCII):
        raise Problem("timestamp_invalid", f"{name} must be a number as {format_} has it, not {str(value)[:64]!r}")
    try:
        return storable_time(_EPOCH + timedelta(microseconds=round(Decimal(str(value)) * EPOCHS[str(format_)])))
    except OverflowError:
        raise Problem("timestamp_invalid", f"{name} {value} is beyond the year 9999 as {format_}") from None
