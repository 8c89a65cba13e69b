"""Strategies for what is sent, what is sent again, and the order in which it all arrives."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from math import inf

from hypothesis import strategies as st

from tests.oracle.amounts import UNITS, interval_kwh, measured, parked_kwh, register_walk, steady_kwh
from tests.oracle.moments import INSTANT, SECOND
from tests.oracle.records import METER, VEHICLE, Device, Exchange, Profile, Reading


@st.composite
def originals(draw: st.DrawFn, device: Device, profile: Profile, times: Sequence[datetime], mood: str) -> list[Reading]:
    """One device's readings at the times, each sent once.

    Args:
        draw: Given by Hypothesis.
        device: Who sends them.
        profile: What is said of it.
        times: When, in order.
        mood: "steady" delivers much the same each time, "parked" next to nothing, "any" anything.
    """
    is_register = profile.energy_kind == "register"
    if is_register and mood == "any":
        energies = draw(register_walk(len(times), profile.register_max))
    else:
        kwh = interval_kwh(profile)
        if mood != "any" and profile.max_kw is None:
            kwh = steady_kwh(device.kind) if mood == "steady" else parked_kwh(device.kind)
        energies = [draw(kwh) for _ in times]
        if is_register:
            energies = [register % (profile.register_max or inf) for register in accumulate(energies)]
    return [
        Reading(*device, moment, kwh, **draw(measured(device.kind)))
        for moment, kwh in zip(times, energies, strict=True)
    ]


@st.composite
def exchanges_of(draw: st.DrawFn, device: Device, profile: Profile, sent: Sequence[Reading]) -> list[Exchange]:
    """Exchanges of a device's register, at or after some of its readings: mostly between the values around them."""
    most = profile.register_max or 1e7
    found = {}
    for place in draw(st.lists(st.integers(0, len(sent) - 1), max_size=2)) if sent else []:
        before, after = sent[place], sent[min(place + 1, len(sent) - 1)]
        moment = before.recorded_at + draw(st.sampled_from([0 * SECOND, INSTANT, SECOND, -INSTANT, -SECOND]))
        last = before.kwh + draw(st.sampled_from([0, 0, 1, 5 * UNITS, 40 * UNITS])) / UNITS
        first = after.kwh - draw(st.sampled_from([0, 1, 1, 5 * UNITS, -1, -40 * UNITS])) / UNITS
        found[moment] = Exchange(device, moment, min(last, most), min(max(first, 0.0), most))
    return list(found.values())


@st.composite
def repeats(draw: st.DrawFn, sent: Sequence[Reading], most: int) -> list[Reading]:
    """Readings whose keys were sent before: with the same values, another energy or another measurement."""
    again = draw(st.lists(st.sampled_from(sent), max_size=min(most, 12))) if sent and most > 0 else []
    found = []
    for reading in again:
        change = draw(st.sampled_from(["none", "energy", "measured"]))
        if change == "energy":
            found.append(replace(reading, kwh=draw(interval_kwh(Profile()))))
        elif change == "measured":
            found.append(replace(reading, **draw(measured(reading.kind))))
        else:
            found.append(reading)
    return found


@st.composite
def arrivals(draw: st.DrawFn, readings: Sequence[Reading]) -> list[list[Reading]]:
    """The readings in some order of arrival, cut into batches of one kind each."""
    arriving = sorted(readings, key=lambda reading: reading.recorded_at)
    order = draw(st.sampled_from(["in order", "reversed", "some late", "shuffled", "shuffled"]))
    if order == "reversed":
        arriving.reverse()
    elif order == "some late" and arriving:
        for place in draw(st.lists(st.integers(0, len(arriving) - 1), max_size=10)):
            arriving.append(arriving.pop(place))
    elif order == "shuffled":
        arriving = list(draw(st.permutations(arriving)))
    everything = max(1, len(arriving))
    size = draw(st.sampled_from([1, 3, 10, everything]))
    batches = []
    for place in range(0, len(arriving), size):
        chunk = arriving[place : place + size]
        kinds = draw(st.permutations([METER, VEHICLE]))
        batches += [batch for s in kinds if (batch := [reading for reading in chunk if reading.kind == s])]
    return batches
