"""Strategies for what devices send. Most values are multiples of 1/1024, whose sums are exact in any order."""

from datetime import timedelta
from functools import cache

from hypothesis import strategies as st

from tests.oracle.accounting import MINUTE
from tests.oracle.records import METER, Profile

UNITS = 1024
UGLY = (0.1, 0.2, 0.3, 0.7, 1e-7, 123.456, 1 / 3)
# Pairs of these give ratios on the limits, on ties of the fourth decimal (1/32) and beyond a million.
TELLING = (0.0, 1.0, 17.0, 20.0, 32.0, 850.0, 1000.0, 849.9375)
# What fits twice into the interval is a number of units, so whether a reading is on the limit needs no rounding.
LIMITS = ((60, 30.0), (60, 7.5), (60, 600.0), (900, 11.0), (900, 150.0), (3600, 22.0), (3600, 50.0), (None, 30.0))
INTERVALS = (None, None, 10, 60, 300, 900, 1800, 3600, 5 * 3600, 12 * 3600)
# A meter beside a parked car: 0.05 kWh in an hour is the most that is idle.
STANDBY = (0.0, 1 / UNITS, 0.0125, 51 / UNITS, 0.05, 52 / UNITS)


@cache
def units(least: int, most: int) -> st.SearchStrategy[float]:
    """A multiple of 1/1024 between two whole numbers."""
    return st.integers(least * UNITS, most * UNITS).map(lambda n: n / UNITS)


@st.composite
def profiles(draw: st.DrawFn) -> Profile | None:
    """A profile, or None for a device that has none."""
    kind = draw(st.sampled_from(["none", "interval", "limited", "register", "register", "rolling"]))
    if kind == "none":
        return None
    if kind == "limited":
        seconds, max_kw = draw(st.sampled_from(LIMITS))
        return Profile(max_kw=max_kw, expected_interval=_interval(seconds))
    interval = _interval(draw(st.sampled_from(INTERVALS)))
    if kind == "interval":
        return Profile(expected_interval=interval)
    register_max = draw(st.sampled_from([1000.0, 999.75, 100.0])) if kind == "rolling" else None
    return Profile("register", register_max, expected_interval=interval)


def _interval(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


@cache
def interval_kwh(profile: Profile) -> st.SearchStrategy[float]:
    """The energy of one interval, often on the limit of what is plausible where there is one."""
    plain = st.one_of(units(0, 50), units(0, 1000), st.sampled_from(TELLING), st.sampled_from(UGLY))
    if profile.max_kw is None:
        return plain
    limit = 2 * profile.max_kw * (profile.expected_interval or MINUTE).total_seconds() / 3600
    below = st.integers(0, int(limit * UNITS)).map(lambda n: n / UNITS)
    return st.one_of(below, below, st.sampled_from([limit, limit - 1 / UNITS, limit + 1 / UNITS]), plain)


@st.composite
def register_walk(draw: st.DrawFn, count: int, register_max: float | None) -> list[float]:
    """The values of a running register in order of time: it grows, stands, dips, resets, rolls over, has glitches."""
    now = draw(st.integers(0, 900 * UNITS))
    top = int((register_max or 1000.0) * UNITS)
    sent = [now / UNITS]
    while len(sent) < count:
        move = draw(
            st.sampled_from(
                ["grow", "grow", "stand", "dip", "dip", "tenth", "reset", "roll", "beyond", "glitch", "ugly"]
            )
        )
        if move == "ugly":
            sent.append(draw(st.sampled_from(UGLY)))
            continue
        if move == "dip":
            # Whatever comes next starts from the dip: up to the old baseline, past it, or down further.
            falls = draw(st.lists(st.integers(1, max(1, now // 10 - 1)), min_size=1, max_size=3))
            sent += [max(0, now - fall) / UNITS for fall in falls]
            continue
        if move == "glitch":
            # Values of a register that has lost its memory, and then the old level, or a little more or less.
            sent += draw(st.lists(st.sampled_from([0.0, 0.0, 1 / UNITS, 5.0]), min_size=1, max_size=3))
            now = max(0, now + draw(st.integers(-3, 3)) * (now // 20))
        elif move == "tenth":
            # Exactly nine tenths of what it was is still a dip, a unit less is a fall.
            now += -now % 10
            sent.append(now / UNITS)
            now = max(0, now // 10 * 9 - draw(st.integers(0, 1)))
        elif move == "reset":
            now = draw(st.integers(0, now // 2))
        elif move == "roll":
            before, now = draw(st.integers(0, 20)), draw(st.integers(0, 20 * UNITS))
            sent.append((top - before) / UNITS)
        elif move == "beyond":
            sent.append((top + 1) / UNITS)
            now = draw(st.integers(0, UNITS))
        elif move == "grow":
            now += draw(st.integers(1, 40 * UNITS))
        sent.append(now / UNITS)
    return sent[:count]


@cache
def steady_kwh(kind: str) -> st.SearchStrategy[float]:
    """The energy of an interval where a vehicle takes nearly all that its meter gives."""
    return units(17, 20) if kind == METER else units(15, 19)


@cache
def parked_kwh(kind: str) -> st.SearchStrategy[float]:
    """The energy of an interval where nothing is charged."""
    return st.sampled_from(STANDBY) if kind == METER else st.just(0.0)


@cache
def measured(kind: str) -> st.SearchStrategy[dict[str, float | None]]:
    """The values of a reading other than its energy: not measured, or impossible, in one of eight."""
    if kind == METER:
        return st.fixed_dictionaries({"voltage": _of_a_sensor(quarters(220, 250) | st.just(229.9), [-1.0, 1500.25])})
    return st.fixed_dictionaries(
        {
            "soc": _of_a_sensor(quarters(0, 100) | st.just(33.3), [100.4, 254.0]),
            "battery_temp": _of_a_sensor(quarters(-20, 50) | st.sampled_from([20.1, 20.125]), [-127.0, 1e-310]),
        }
    )


def _of_a_sensor(values: st.SearchStrategy[float], faults: list[float]) -> st.SearchStrategy[float | None]:
    return st.integers(0, 7).flatmap(lambda n: st.sampled_from([None, *faults]) if n == 7 else values)


def quarters(least: int, most: int) -> st.SearchStrategy[float]:
    """A multiple of a quarter between two whole numbers."""
    return st.integers(least * 4, most * 4).map(lambda n: n / 4)
