"""Conversion of columns to values of a field; an invalid value is a fault of its row. SQL has the limits."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from service.errors import Problem
from service.readings.storable import storable_number, storable_text, storable_time
from service.readings.times import read_time

Faults: TypeAlias = dict[int, Problem]
"""Place in the column -> its first fault."""

_NOBODYS_TIME = datetime(1, 1, 2)


def ids(name: str, column: Sequence[Any], faults: Faults) -> list[str]:
    """Convert device ids; whole numbers are valid, too."""
    if set(map(type, column)) == {str} and "" not in column and "\0" not in "".join(column):
        return list(column)
    return [_id(name, index, value, faults) for index, value in enumerate(column)]


def numbers(
    name: str, column: Sequence[Any], faults: Faults, *, text: bool, is_optional: bool = False
) -> Sequence[float | None]:
    """Convert numbers, written as `text` or not.

    A measure (`is_optional`) may be blank: None. One that is too large for a double is clamped, and SQL ignores it.
    """
    try:
        if text:
            if _plain_digits("".join(column)):
                if not is_optional:
                    return list(map(float, column))
                found = [float(value) if value else None for value in column]
                if math.inf not in found and -math.inf not in found:
                    return found
        elif set(map(type, column)) <= {int, float}:
            return list(map(float, column))
    except (ValueError, OverflowError):
        pass
    number = _measure if is_optional else _number
    return [number(name, index, value, faults, text) for index, value in enumerate(column)]


class Times:
    """Parser of times: ISO 8601 with an offset, unless a format or a zone is given.

    A local time that the zone's clocks show twice or never is a fault, as its moment is ambiguous.
    """

    def __init__(self, zone: ZoneInfo | None, format_: str | None) -> None:
        self._zone = zone
        self._format = format_

    def times(self, name: str, column: Sequence[Any], faults: Faults) -> list[datetime]:
        """Convert the times of a column; repeated ones are parsed once."""
        try:
            distinct = set(column)
        except TypeError:  # a JSON array or object
            column = [value if isinstance(value, Hashable) else str(value) for value in column]
            distinct = set(column)
        known: dict[Any, datetime] = {}
        wrong: dict[Any, Problem] = {}
        for value in distinct:
            try:
                known[value] = self._parse(name, value)
            except Problem as problem:
                # a new one: the raised one keeps this frame alive, and with it every row of the chunk
                known[value], wrong[value] = _NOBODYS_TIME, Problem(problem.code, problem.detail)
        if wrong:
            for index, value in enumerate(column):
                if value in wrong:
                    faults.setdefault(index, wrong[value])
        return [known[value] for value in column]

    def _parse(self, name: str, value: Any) -> datetime:
        time = value
        if value in {None, ""}:
            raise _missing(name)
        if isinstance(value, str):
            try:
                time = datetime.strptime(value, self._format) if self._format else read_time(value)
            except ValueError:
                time = None
            if time is None:
                wanted = f"written {self._format}" if self._format else "an ISO 8601 time as 2026-02-08T18:00:00Z"
                raise Problem("timestamp_invalid", f"{name} must be {wanted}, not {value[:64]!r}")
        if not isinstance(time, datetime):
            kind = "a date" if isinstance(value, date) else "a number"
            raise Problem("timestamp_invalid", f"{name} must be a time, not {kind}: {str(value)[:64]}")
        return storable_time(time if time.tzinfo else self._in_zone(name, time))

    def _in_zone(self, name: str, time: datetime) -> datetime:
        if self._zone is None:
            raise Problem("timestamp_invalid", f"{name} {time} has no offset: give the --timezone of its clocks")
        first, second = (time.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        ahead, then = (moment.utcoffset() or timedelta() for moment in (first, second))
        if ahead == then:
            return first
        # clocks that go forward skip an hour, clocks that go back show one twice
        shown = "never" if ahead < then else "twice"
        raise Problem("timestamp_invalid", f"{name} {time} is shown {shown} by the clocks of {self._zone.key}")


def _plain_digits(text: str) -> bool:
    """Return true for a number without Python's own extensions."""
    return text.isascii() and "_" not in text


def _missing(name: str) -> Problem:
    return Problem("field_missing", f"{name} has no value")


def _id(name: str, index: int, value: Any, faults: Faults) -> str:
    if value is None or value == "":
        faults.setdefault(index, _missing(name))
    elif isinstance(value, str) or type(value) is int:
        return storable_text(str(value))
    else:
        faults.setdefault(index, Problem("field_type_invalid", f"{name} must be a string, not {str(value)[:64]}"))
    return ""


def _measure(name: str, index: int, value: Any, faults: Faults, text: bool) -> float | None:
    if value is None or value == "":
        return None
    if type(value) is int:
        return float(storable_number(value))
    number = _number(name, index, value, faults, text)
    # the words for infinity end in a letter
    return storable_number(number) if text and value[-1].isdigit() else number


def _number(name: str, index: int, value: Any, faults: Faults, text: bool) -> float:
    try:
        if value is None or value == "":
            faults.setdefault(index, _missing(name))
        elif isinstance(value, bool) or isinstance(value, str) != text or (text and not _plain_digits(value)):
            raise ValueError
        else:
            return float(value)
    except (TypeError, ValueError):
        faults.setdefault(index, Problem("field_type_invalid", f"{name} must be a number, not {str(value)[:64]!r}"))
    except OverflowError:
        faults.setdefault(index, Problem("value_out_of_range", f"{name} is a number too large to be stored"))
    return 0.0
