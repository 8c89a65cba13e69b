"""Hypothesis strategies for interleavings of readings with the work of jobs and DBAs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st

from tests.oracle.amounts import profiles
from tests.oracle.moments import INSTANT, MINUTE, PACES, QUARTER, anchors, beside
from tests.oracle.records import METER, VEHICLE, Device, Link, Profile, Reading
from tests.oracle.sending import arrivals, originals, repeats
from tests.oracle.strategies import Window, fleets, link_tables

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AGGREGATES = [f"{kind}_{resolution}" for resolution in ("15min", "hourly", "daily") for kind in (METER, VEHICLE)]


@dataclass(frozen=True)
class Send:
    """A batch of readings arrives."""

    batch: list[Reading]


@dataclass(frozen=True)
class Refresh:
    """The job refreshes the aggregates of a kind."""

    kind: str


@dataclass(frozen=True)
class RefreshByHand:
    """One aggregate is refreshed over a window; None is without limit."""

    aggregate: str
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Compress:
    """The chunks of a history go into the columnstore."""

    kind: str


@dataclass(frozen=True)
class Drop:
    """The chunks of a history that end by then are dropped: by hand all of them, by retention those taken up."""

    kind: str
    before: datetime
    by_hand: bool


@dataclass(frozen=True)
class MakeLink:
    """A meter feeds a vehicle from start until end; None is without one."""

    vehicle: str
    meter: str
    start: datetime
    end: datetime | None


Step = Send | Refresh | RefreshByHand | Compress | Drop | MakeLink


@dataclass(frozen=True)
class Interleaving:
    """A fleet, the steps that happen to it in order, and the questions after each of them.

    Attributes:
        profiles: Of some of its devices.
        links: As they are before the first step.
        steps: What happens.
        windows: To ask about.
        resolution: Of the buckets to ask for.
        session_zone: The time zone of the session that asks.
    """

    profiles: dict[Device, Profile]
    links: list[Link]
    steps: list[Step]
    windows: list[Window]
    resolution: str
    session_zone: str


@st.composite
def interleavings(
    draw: st.DrawFn, prefix: str, time_zone: str, base: datetime, days: int, now: datetime, most: int, max_readings: int
) -> Interleaving:
    """An interleaving of at most so many steps.

    Args:
        draw: Given by Hypothesis.
        prefix: What sets the ids of this fleet apart from others.
        time_zone: The fleet's.
        base: Where the older readings begin, which may be dropped; a day before a change of the clock is worth most.
        days: How many days of older readings there are.
        now: The whole minute in which the test began; newer readings lie in the day and a half before it.
        most: The most steps.
        max_readings: The most readings, repeats included.
    """
    vehicles, meters = draw(fleets(prefix))
    older = draw(st.lists(st.sampled_from(anchors(base, days, time_zone)), min_size=1, max_size=3, unique=True))
    newer = draw(st.lists(st.sampled_from(_recent_edges(now)), min_size=1, max_size=2, unique=True))
    edges = [*older, *newer]
    links = draw(link_tables(vehicles, meters, edges))
    devices = [Device(METER, meter) for meter in meters] + [Device(VEHICLE, vehicle) for vehicle in vehicles]
    known = {device: profile for device in devices if (profile := draw(profiles())) is not None}
    mood = draw(st.sampled_from(["any", "steady", "steady", "parked"]))
    sent: list[Reading] = []
    per_device = max(2, max_readings * 3 // 4 // len(devices))
    in_step = draw(_times(edges, now, per_device))
    for device in devices:
        times = in_step if draw(st.booleans()) else draw(_times(edges, now, per_device))
        sent += draw(originals(device, known.get(device, Profile()), times, mood))
    sent += draw(repeats(sent, max_readings - len(sent)))
    steps: list[Step] = []
    sends: list[Step] = [Send(batch) for batch in _few(draw(arrivals(sent)), most // 3)]
    upkeep = _upkeep(vehicles, meters, edges, base, days)
    others = draw(st.lists(upkeep, min_size=most // 3, max_size=most - len(sends)))
    for is_other in draw(st.permutations([True] * len(others) + [False] * len(sends))):
        steps.append((others if is_other else sends).pop(0))
    moment = beside(edges)
    asked = draw(st.lists(st.tuples(st.sampled_from(vehicles), moment, moment), min_size=1, max_size=3))
    windows = [(vehicle, min(one, other), max(one, other) + INSTANT) for vehicle, one, other in asked]
    windows += [(vehicle, base - DAY, now + HOUR) for vehicle in vehicles]
    return Interleaving(
        known,
        links,
        steps,
        windows,
        resolution=draw(st.sampled_from(["15min", "hourly", "daily"])),
        session_zone=draw(st.sampled_from(["UTC", time_zone, "America/St_Johns"])),
    )


def _recent_edges(now: datetime) -> list[datetime]:
    """Moments of the last day and a half at which something ends, and this one."""
    hour = now.replace(minute=0)
    quarter = now.replace(minute=now.minute // 15 * 15)
    return [now, quarter, quarter - QUARTER, hour, hour - HOUR, hour - DAY, now.replace(hour=0, minute=0)]


@st.composite
def _times(draw: st.DrawFn, edges: Sequence[datetime], now: datetime, most: int) -> list[datetime]:
    """Different times of one device's readings, in order: single ones, and runs at a regular pace."""
    single = draw(st.lists(beside(edges), max_size=most))
    run = st.tuples(beside(edges), st.sampled_from(PACES), st.integers(2, 8))
    runs = draw(st.lists(run, max_size=2))
    times = dict.fromkeys([*single, *(start + n * pace for start, pace, count in runs for n in range(count))])
    # a little ahead of the server's clock is allowed
    return sorted([moment for moment in times if moment <= now + 4 * MINUTE][:most])


def _few(batches: list[list[Reading]], most: int) -> list[list[Reading]]:
    """So many batches at most, by joining those of one kind that follow each other, in their order."""
    size = -(-len(batches) // max(1, most // 2))
    found: list[list[Reading]] = []
    for place in range(0, len(batches), max(1, size)):
        joined: dict[str, list[Reading]] = {}
        for batch in batches[place : place + size]:
            joined.setdefault(batch[0].kind, []).extend(batch)
        found += joined.values()
    return found


@st.composite
def _upkeep(
    draw: st.DrawFn,
    vehicles: Sequence[str],
    meters: Sequence[str],
    edges: Sequence[datetime],
    base: datetime,
    days: int,
) -> Step:
    """Something that happens to a fleet beside the readings of it."""
    what = draw(st.sampled_from(["refresh", "refresh", "by hand", "by hand", "by hand", "compress", "drop", "link"]))
    kind = draw(st.sampled_from([METER, VEHICLE]))
    if what == "refresh":
        return Refresh(kind)
    if what == "compress":
        return Compress(kind)
    if what == "drop":
        midnight = base.replace(hour=0, minute=0) + draw(st.integers(1, days)) * DAY
        return Drop(kind, midnight + draw(st.sampled_from([timedelta(0), 7 * HOUR])), by_hand=draw(st.booleans()))
    if what == "link":
        start = draw(beside(edges))
        end = draw(st.none() | beside([edge for edge in edges if edge > start + HOUR] or [start + DAY]))
        return MakeLink(draw(st.sampled_from(vehicles)), draw(st.sampled_from(meters)), start, end)
    aggregate = draw(st.sampled_from(AGGREGATES))
    width = {"15min": QUARTER, "hourly": HOUR, "daily": DAY}[aggregate.split("_")[1]]
    start = draw(beside(edges)) - draw(st.integers(1, 3)) * width
    end = start + draw(st.integers(4, 100)) * width
    return RefreshByHand(
        aggregate, draw(st.sampled_from([start, start, None])), draw(st.sampled_from([end, end, None]))
    )
