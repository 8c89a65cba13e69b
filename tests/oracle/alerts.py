"""Alerts by their definition, over all readings at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

QUARTER = timedelta(minutes=15)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sample:
    """A reading: energy in kWh, and the voltage or the battery temperature."""

    kwh: Fraction
    measure: Fraction


Samples = Mapping[datetime, Sample]


@dataclass(frozen=True)
class Rule:
    """The settings of a rule."""

    threshold: Fraction
    window: timedelta
    open_after: timedelta
    close_after: timedelta
    upper: Fraction | None = None
    least: Fraction = Fraction(0)


@dataclass(frozen=True)
class Span:
    """An alert; closed is None while it is open."""

    opened: datetime
    closed: datetime | None


def within(samples: Samples, end: datetime, window: timedelta) -> list[Sample]:
    """The readings stamped after the start of a window, up to and including its end."""
    return [sample for time, sample in samples.items() if end - window < time <= end]


def judge_mean(samples: Samples, end: datetime, rule: Rule, interval: timedelta) -> bool | None:
    """True if the mean of a window is beyond the thresholds; None with less than half of its readings."""
    found = within(samples, end, rule.window)
    if 2 * len(found) < rule.window // interval or not found:
        return None
    mean = sum((sample.measure for sample in found), Fraction(0)) / len(found)
    if rule.upper is None:
        return mean > rule.threshold
    return not rule.threshold <= mean <= rule.upper


def judge_efficiency(ac: Samples, dc: Samples, end: datetime, rule: Rule, interval: timedelta) -> bool | None:
    """Whether DC by AC, rounded to 4 decimals, is too low; None with less than 90 % of the readings of a side."""
    consumed, delivered = within(ac, end, rule.window), within(dc, end, rule.window)
    needed = Fraction(9, 10) * (rule.window // interval)
    if len(consumed) < needed or len(delivered) < needed:
        return None
    kwh_ac = sum((sample.kwh for sample in consumed), Fraction(0))
    kwh_dc = sum((sample.kwh for sample in delivered), Fraction(0))
    if kwh_ac < rule.least:
        return None
    return Fraction(int(kwh_dc / kwh_ac * 10_000 + Fraction(1, 2)), 10_000) < rule.threshold


def judge_completeness(times: Sequence[datetime], end: datetime, rule: Rule) -> bool | None:
    """True if a device without a declared interval lost too many readings; None for one that is new, back or silent.

    A gap lost readings if it is longer than the shorter of the two gaps before it, and of the two after it.
    """
    known = sorted(time for time in times if end - 2 * rule.window < time <= end)
    received = sum(time > end - rule.window for time in known)
    if received in {0, len(known)} or received < rule.least:
        return None
    gaps = [later - earlier for earlier, later in pairwise(known)]
    lost = 0
    for place in range(2, len(gaps) - 2):
        before, after = min(gaps[place - 2 : place]), min(gaps[place + 1 : place + 3])
        number = int(Fraction(gaps[place] // MICROSECOND, max(before, after, MINUTE) // MICROSECOND) + Fraction(1, 2))
        lost += sum(known[place] + gaps[place] * step / number > end - rule.window for step in range(1, number))
    value = Fraction(received, min(received + lost, rule.window // MINUTE))
    return Fraction(int(value * 10_000 + Fraction(1, 2)), 10_000) < rule.threshold


def spans(judge: Callable[[datetime], bool | None], first: datetime, last: datetime, rule: Rule) -> list[Span]:
    """The alerts of a judgement at the end of each quarter hour."""
    found: list[Span] = []
    verdicts: list[bool | None] = []
    end = first
    while end <= last:
        verdicts.append(judge(end))
        is_open = bool(found) and found[-1].closed is None
        needed = (rule.close_after if is_open else rule.open_after) // QUARTER + 1
        if len(verdicts) >= needed and all(verdict is (not is_open) for verdict in verdicts[-needed:]):
            if is_open:
                found[-1] = Span(found[-1].opened, end)
            else:
                found.append(Span(end, None))
        end += QUARTER
    return found


def silences(times: Sequence[datetime], now: datetime, rule: Rule, interval: timedelta) -> list[Span]:
    """The gaps of a device's times that are long enough; the last one lasts."""
    ordered: list[datetime | None] = [*sorted(times), None]
    found = []
    for time, following in pairwise(ordered):
        assert time is not None
        opened = time + float(rule.threshold) * interval + rule.open_after
        if opened < (following or now):
            found.append(Span(opened, following))
    return found
