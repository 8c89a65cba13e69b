"""Hypothesis strategies for scenarios: a small fleet, what it sends in which order, and what to ask about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from tests.oracle.amounts import profiles
from tests.oracle.moments import INSTANT, anchors, anywhere, beside, recording_times
from tests.oracle.records import METER, VEHICLE, Device, Exchange, Link, Profile, Reading
from tests.oracle.sending import arrivals, exchanges_of, originals, repeats

TIME_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC", "Australia/Lord_Howe")
Window = tuple[str, datetime, datetime]


@dataclass(frozen=True)
class Scenario:
    """A fleet, the batches in the order in which they arrive, and the windows to ask about.

    Of each exchange there is the number of batches before it.
    """

    time_zone: str
    profiles: dict[Device, Profile]
    links: list[Link]
    batches: list[list[Reading]]
    exchanges: list[tuple[int, Exchange]]
    windows: list[Window]


def overlap(one: Link, other: Link) -> bool:
    """Whether two links hold at the same moment."""
    return (one.start is None or other.end is None or one.start < other.end) and (
        other.start is None or one.end is None or other.start < one.end
    )


@st.composite
def link_tables(
    draw: st.DrawFn, vehicles: Sequence[str], meters: Sequence[str], edges: Sequence[datetime]
) -> list[Link]:
    """Links that could all hold: meters handed from vehicle to vehicle, with and without gaps, and single ones."""
    proposed: list[Link] = []
    for meter in draw(st.lists(st.sampled_from(meters), max_size=2, unique=True)):
        cuts: list[datetime | None] = [*sorted(draw(st.sets(beside(edges), min_size=2, max_size=5)))]
        cuts = [*draw(st.sampled_from([[], [None]])), *cuts, *draw(st.sampled_from([[], [None]]))]
        for start, end in pairwise(cuts):
            vehicle = draw(st.sampled_from([*vehicles, None]))
            proposed += [Link(vehicle, meter, start, end)] if vehicle is not None else []
    single = st.builds(
        Link, st.sampled_from(vehicles), st.sampled_from(meters), st.none() | beside(edges), st.none() | beside(edges)
    )
    proposed += draw(st.lists(single, max_size=4))
    links: list[Link] = []
    for link in proposed:
        same = [other for other in links if link.vehicle_id == other.vehicle_id or link.meter_id == other.meter_id]
        runs = link.start is None or link.end is None or link.start < link.end
        if runs and not any(overlap(link, other) for other in same):
            links.append(link)
    return links


@st.composite
def fleets(draw: st.DrawFn, prefix: str) -> tuple[list[str], list[str]]:
    """The ids of vehicles and of meters: the vehicles' own, which may be missing or bear their id, and stations."""
    count = draw(st.integers(1, 4))
    vehicles = [f"V{prefix}-{n}" for n in range(count)]
    meters = [f"S{prefix}-{n}" for n in range(draw(st.integers(0, 2)))]
    for n, vehicle in enumerate(vehicles):
        own = draw(st.sampled_from(["M", "M", "M", "none", "same id", "both"]))
        meters += [f"M{prefix}-{n}"] if own in ("M", "both") else []
        meters += [vehicle] if own in ("same id", "both") else []
    return vehicles, meters or [f"S{prefix}-0"]


@st.composite
def windows_of(
    draw: st.DrawFn, vehicles: Sequence[str], edges: Sequence[datetime], base: datetime, days: int
) -> list[Window]:
    """Windows on and beside the edges, windows anywhere, and for every vehicle one that covers everything."""
    moment = st.one_of(st.sampled_from(edges), beside(edges), anywhere(base, days))
    drawn = draw(st.lists(st.tuples(st.sampled_from(vehicles), moment, moment), min_size=2, max_size=8))
    day = timedelta(days=1)
    return [(vehicle, base - day, base + (days + 1) * day) for vehicle in vehicles] + [
        (vehicle, min(one, other), max(one, other) if one != other else one + INSTANT) for vehicle, one, other in drawn
    ]


@st.composite
def scenarios(
    draw: st.DrawFn,
    prefix: str,
    base: datetime,
    *,
    time_zones: Sequence[str] = TIME_ZONES,
    days: int = 4,
    max_readings: int = 120,
) -> Scenario:
    """A scenario whose readings lie within some days after the base.

    Args:
        draw: Given by Hypothesis.
        prefix: What sets the ids of this scenario apart from others.
        base: The first moment, aware; a day or two before a change of the clock is worth most.
        time_zones: The fleet's time zone is one of these.
        days: How long everything takes.
        max_readings: The most readings, repeats included.
    """
    base = base.astimezone(UTC)
    time_zone = draw(st.sampled_from(time_zones))
    vehicles, meters = draw(fleets(prefix))
    # Few places in time, shared by all, so that meters and vehicles meet in the same buckets.
    places = st.lists(st.sampled_from(anchors(base, days, time_zone)), min_size=1, max_size=4, unique=True)
    edges = draw(places)
    links = draw(link_tables(vehicles, meters, edges))
    edges += sorted({edge for link in links for edge in (link.start, link.end) if edge is not None} - set(edges))
    devices = [Device(METER, meter) for meter in meters] + [Device(VEHICLE, vehicle) for vehicle in vehicles]
    known = {device: profile for device in devices if (profile := draw(profiles())) is not None}
    most = max(1, max_readings * 3 // 4 // len(devices))
    sent: list[Reading] = []
    # Steady devices in step have comparable sums, so that a ratio may be an ordinary one.
    mood = draw(st.sampled_from(["any", "any", "steady", "steady", "parked"]))
    in_step = draw(recording_times(edges, base, days, most))
    for device in devices:
        times = in_step if draw(st.booleans()) else draw(recording_times(edges, base, days, most))
        sent += draw(originals(device, known.get(device, Profile()), times, mood))
    sent = sent[:max_readings]
    replaced = [
        exchange
        for device, profile in known.items()
        if profile.energy_kind == "register"
        for exchange in draw(exchanges_of(device, profile, [reading for reading in sent if reading.device == device]))
    ]
    sent += draw(repeats(sent, max_readings - len(sent)))
    batches = draw(arrivals(sent))
    exchanges = [(draw(st.integers(0, len(batches))), exchange) for exchange in replaced]
    windows = draw(windows_of(vehicles, edges, base, days))
    return Scenario(time_zone, known, links, batches, exchanges, windows)
