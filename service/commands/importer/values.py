"""Conversion of columns to values of a field; an invalid value is a fault of its row. SQL has the limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from service.errors import Problem
from service.readings.storable import storable_number, storable_text

Faults: TypeAlias = dict[int, Problem]
"""Place in the column -> its first fault."""


def ids(name: str, column: Sequence[Any], faults: Faults) -> list[str]:
    """Convert device ids; whole numbers are valid, too."""
    if set(map(type, column)) == {str} and "" not in column and "\0" not in "".join(column):
        return list(column)
    return [_id(name, index, value, faults) for index, value in enumerate(column)]


def numbers(
    name: str, column: Sequence[Any], faults: Faults, *, decimal: str | None, optional: bool = False
) -> list[Any]:
    """Convert numbers; an optional one without a value becomes None, and SQL judges one too large for a double.

    Args:
        name: the field.
        column: the values.
        faults: gets the invalid ones.
        decimal: decimal point of numbers that are written as text; None if they are numbers.
        optional: true if a value may be missing.
    """
    try:
        if decimal is None:
            if set(map(type, column)) <= {int, float}:
                return list(map(float, column))
        elif _plain_digits("".join(column), decimal):
            texts = column if decimal == "." else [value.replace(decimal, ".") for value in column]
            if not optional:
                return list(map(float, texts))
            found = [float(text) if text else None for text in texts]
            if math.inf not in found and -math.inf not in found:
                return found
    except (TypeError, ValueError, OverflowError):
        pass
    number = _optional_number if optional else _number
    return [number(name, index, value, faults, decimal) for index, value in enumerate(column)]


def _plain_digits(text: str, decimal: str) -> bool:
    """Return true for a number with this decimal point, without Python's own extensions."""
    return text.isascii() and "_" not in text and (decimal == "." or "." not in text)


def missing(name: str) -> Problem:
    """Return the fault of a field without a value."""
    return Problem("field_missing", f"{name} has no value")


def _id(name: str, index: int, value: Any, faults: Faults) -> str:
    if value is None or value == "":
        faults.setdefault(index, missing(name))
    elif isinstance(value, str) or type(value) is int:
        return storable_text(str(value))
    else:
        faults.setdefault(index, Problem("field_type_invalid", f"{name} must be a string, not {str(value)[:64]}"))
    return ""


def _optional_number(name: str, index: int, value: Any, faults: Faults, decimal: str | None) -> float | None:
    if value is None or value == "":
        return None
    if type(value) is int:
        return float(storable_number(value))
    number = _number(name, index, value, faults, decimal)
    # the words for infinity end in a letter
    return storable_number(number) if decimal and isinstance(value, str) and value[-1].isdigit() else number


def _number(name: str, index: int, value: Any, faults: Faults, decimal: str | None) -> float:
    try:
        if value is None or value == "":
            faults.setdefault(index, missing(name))
        elif isinstance(value, bool) or isinstance(value, str) != (decimal is not None):
            raise ValueError
        elif decimal is None:
            return float(value)
        elif not _plain_digits(value, decimal):
            raise ValueError
        else:
            return float(value.replace(decimal, "."))
    except (TypeError, ValueError):
        detail = f"{name} must be a number, not {str(value)[:64]!r}"
        if decimal == "." and "," in value:
            detail += ": is the comma its decimal point, give --decimal ,"
        faults.setdefault(index, Problem("field_type_invalid", detail))
    except OverflowError:
        faults.setdefault(index, Problem("value_out_of_range", f"{name} is a number too large to be stored"))
    return 0.0
