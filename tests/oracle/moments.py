"""Strategies for the moments that matter: where buckets, days, clocks and links change, and right beside them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
BESIDE = (
    timedelta(0),
    -INSTANT,
    INSTANT,
    -SECOND,
    59 * SECOND + 999_999 * INSTANT,
    MINUTE,
    7 * MINUTE + SECOND / 2,
    -QUARTER,
    30 * MINUTE,
    -timedelta(hours=1),
)


PACES = (10 * SECOND, MINUTE, 5 * MINUTE, QUARTER, 30 * MINUTE, timedelta(hours=1), timedelta(hours=5))


@cache
def anchors(base: datetime, days: int, time_zone: str) -> tuple[datetime, ...]:
    """The first quarters of an hour, every local and UTC midnight and every change of the clock, in order of time."""
    zone = ZoneInfo(time_zone)
    first = base + (datetime.min.replace(tzinfo=UTC) - base) % QUARTER
    quarters = [first + n * QUARTER for n in range(days * 96)]
    found = set(quarters[:6])
    for before, moment in pairwise(quarters):
        if _day(before, zone) != _day(moment, zone) or moment.astimezone(UTC).time() == datetime.min.time():
            found.add(moment)
        if before.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            found |= {moment, moment + timedelta(hours=1)}
    return tuple(sorted(found))


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def beside(edges: Sequence[datetime]) -> st.SearchStrategy[datetime]:
    """A moment on one of the edges or close to it."""
    return st.builds(datetime.__add__, st.sampled_from(edges), st.sampled_from(BESIDE))


def anywhere(base: datetime, days: int) -> st.SearchStrategy[datetime]:
    """Any microsecond of the days after the base."""
    return st.builds(lambda n: base + n * INSTANT, st.integers(0, days * 86_400_000_000 - 1))


@st.composite
def recording_times(draw: st.DrawFn, edges: Sequence[datetime], base: datetime, days: int, most: int) -> list[datetime]:
    """Different times of one device's readings, in order: single ones, and runs at a regular pace."""
    quiet = draw(st.sampled_from([False, False, False, False, True]))
    moment = st.one_of(beside(edges), beside(edges), anywhere(base, days))
    single = draw(st.lists(moment, min_size=0 if quiet else min(most, 3), max_size=most))
    run_of = st.tuples(
        beside(edges),
        st.sampled_from(PACES),
        st.integers(2, 8),
    )
    runs = draw(st.lists(run_of, max_size=0 if quiet else 2))
    times = dict.fromkeys([*single, *(start + n * pace for start, pace, count in runs for n in range(count))])
    within = [moment for moment in times if base <= moment < base + timedelta(days=days)]
    return sorted(within[:most])
