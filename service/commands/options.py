"""Options and option types that commands share: times, durations, time zones, kinds, JSON."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from zoneinfo import available_timezones

import click
from click.shell_completion import CompletionItem

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
        zones = available_timezones()
        if value not in zones:
            similar = " or ".join(_similar_zones(value, zones))
            hint = f"did you mean {similar}?" if similar else "its names are like Europe/Berlin"
            self.fail(f"{value!r} is not a zone of the IANA database: {hint}")
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(zone) for zone in sorted(available_timezones()) if zone.startswith(incomplete)]


def _similar_zones(text: str, zones: Collection[str]) -> list[str]:
    """Return at most three zones whose name, or whose city alone, is spelled like `text`; the best first."""
    names: dict[str, str] = {}
    for zone in sorted(zones, key=lambda zone: zone.count("/") != 1):  # Area/City before the others
        for name in (zone, zone.rpartition("/")[2]):
            names.setdefault(name.lower(), zone)
    name = text.lower().replace(" ", "_")
    matches = [name] if name in names else get_close_matches(name, names, n=3, cutoff=0.7)
    return list(dict.fromkeys(names[match] for match in matches))


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
