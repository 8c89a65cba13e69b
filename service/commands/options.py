"""Options and option types that commands share: times, durations, time zones, kinds, JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import click

from service.readings.model import KINDS
from service.readings.times import read_time

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _Duration(click.ParamType[timedelta]):
    """A length of time: 90m, 24h, 7d; 0 for none."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = value if isinstance(value, timedelta) else _duration(value)
        if found is None:
            self.fail(f"{value!r} is not a length of time (90m, 24h, 7d, or 0)")
        return found


class _Time(click.ParamType[datetime]):
    """A time with an offset, a day of UTC, or an age: 90m, 24h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if (age := _duration(value)) is not None:
            return datetime.now(UTC) - age
        time = read_time(f"{value}T00:00Z" if len(value) == len("2026-02-08") else value)
        if time is None or time.tzinfo is None:
            self.fail(
                f"{value!r} is neither a time with an offset (2026-02-08T18:00:00Z), nor a day of UTC (2026-02-08), "
                "nor an age (90m, 24h, 7d)"
            )
        return time


class _Zone(click.ParamType[str]):
    """A time zone, by its IANA name."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in available_timezones():
            self.fail(f"{value!r} is not a zone of the IANA database, as Europe/Berlin")
        return str(value)


def _duration(text: str) -> timedelta | None:
    """The duration in `text`, of at most 99,999 units; None where it is none."""
    number, unit = text[:-1], text[-1:]
    if text == "0":
        return timedelta(0)
    if unit not in _UNITS or not (number.isascii() and number.isdecimal() and len(number) <= 5):
        return None
    return timedelta(**{_UNITS[unit]: int(number)})


DURATION = _Duration()
TIME = _Time()
ZONE = _Zone()
KIND = click.Choice(tuple(KINDS))

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
