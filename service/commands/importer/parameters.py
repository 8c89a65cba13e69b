"""Types and checks of the options of `energy import`."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import click

from service.commands.importer.encoding import is_text_encoding
from service.commands.importer.mapping import FIELDS
from service.commands.importer.times import EPOCHS

_EXAMPLE = datetime(2026, 2, 8, 18, 30, tzinfo=UTC)


class Assignment(click.ParamType[tuple[str, str]]):
    """FIELD=TEXT with a known field."""

    name = "assignment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return the field's wire name and the text."""
        field, equals, text = value.partition("=")
        if not equals or field not in FIELDS or not text:
            self.fail(f"{value!r} is not FIELD=..., with one of {', '.join(sorted(set(FIELDS.values())))}")
        return FIELDS[field], text


class Scale(Assignment):
    """FIELD=FACTOR."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the field's wire name and the factor, a `Fraction`."""
        field, text = super().convert(value, param, ctx)
        if field == "timestamp" or field.endswith("Id"):
            self.fail(f"{field} is not a number")
        try:
            factor = Fraction(text)
            if not math.isfinite(float(factor)):
                raise ValueError
            return field, factor
        except (ValueError, OverflowError, ZeroDivisionError):
            self.fail(f"{text!r} is neither a number nor a fraction as 1/60")


def read_delimiter(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read one character; tab has a name."""
    value = {"\\t": "\t", "tab": "\t"}.get(value or "", value)
    if value is not None and (len(value) != 1 or value in '"\r\n'):
        raise click.BadParameter("must be one character, or tab")
    return value


def read_encoding(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read the name of an encoding of text."""
    if value is not None and not is_text_encoding(value):
        raise click.BadParameter(f"{value!r} is not the name of an encoding of text, as UTF-8, UTF-16, ISO-8859-1")
    return value


def read_time_format(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read a format for strptime that has a day, or the name of an epoch."""
    if value is None or value in EPOCHS:
        return value
    try:
        example = _EXAMPLE.strftime(value)
        if "%" not in value or datetime.strptime(example, value).date() != _EXAMPLE.date():
            raise ValueError("it has no day, month and year")
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no format for strptime: {error}") from None
    return value
