"""Charging sessions equal those of the oracle after every step.

Steps are readings of intervals and of registers, in any order and repeated; exchanges; links; refreshes of any kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.amounts import register_walk
from tests.oracle.model import World
from tests.oracle.records import METER, VEHICLE, Device, Exchange, Link, Profile, Reading
from tests.oracle.sending import exchanges_of, repeats
from tests.support import TestDatabase
from tests.support.energy_world import (
    ENERGY,
    EnergyDatabase,
    assert_outcomes,
    close,
    latest_clock_change,
    run_energy_database,
    session_faults,
)

IS_PROOF = "PROOF_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "8"))
ZONE = "Europe/Berlin"
MINUTE = timedelta(minutes=1)
CHANGE = latest_clock_change(ZONE).replace(hour=20) + timedelta(days=1)
"""The evening before the clocks change."""
PACES = [1, 1, 1, 5, 15, 30, 60]
ENERGIES = st.sampled_from([0.0, 0.125, 0.125, 0.125, 1.5])
PROFILES = st.sampled_from(
    [
        *[Profile()] * 3,
        *(Profile(expected_interval=pace * MINUTE) for pace in (1, 5, 15, 60)),
        *(Profile("register", most, expected_interval=pace) for most in (None, 1000.0) for pace in (None, 15 * MINUTE)),
    ]
)
FLEETS = count()


@pytest.fixture(scope="module")
def energy_database(test_database: TestDatabase) -> Iterator[EnergyDatabase]:
    """A database that the tests of this file have for themselves."""
    with run_energy_database(test_database, ZONE) as database:
        yield database


@st.composite
def _stamps(draw: st.DrawFn, begin: datetime) -> list[datetime]:
    """Runs of readings at several paces, with gaps, a few seconds off the minute."""
    moment = begin + draw(st.sampled_from([0, 0, 7, 61])) * MINUTE
    found: list[datetime] = []
    for pace, number, gap in draw(
        st.lists(
            st.tuples(st.sampled_from(PACES), st.integers(1, 8), st.sampled_from([0, 10, 14, 15, 16, 70, 90, 400])),
            min_size=1,
            max_size=4,
        )
    ):
        found += [moment + n * pace * MINUTE for n in range(number)]
        moment = found[-1] + (pace + gap) * MINUTE
    return found


@st.composite
def _registers(draw: st.DrawFn, profile: Profile, energies: list[float]) -> list[float]:
    """Values that the device sends for these energies; a register is at times any value."""
    if profile.energy_kind == "interval":
        return energies
    if draw(st.booleans()):
        return draw(register_walk(len(energies), profile.register_max))
    return list(accumulate(energies, initial=100.0))[1:]


@st.composite
def _scenario(
    draw: st.DrawFn, begin: datetime
) -> tuple[World, dict[Device, Profile], list[Link], list[object], list[datetime]]:
    prefix = f"s{next(FLEETS)}"
    vehicle, meters = f"V{prefix}", [f"M{prefix}", f"S{prefix}"]
    devices = [Device(VEHICLE, vehicle), *(Device(METER, meter) for meter in meters)]
    profiles = {device: draw(PROFILES) for device in devices}
    stamps = draw(_stamps(begin))
    sent: list[Reading] = []
    exchanges: list[object] = []
    for device, profile in profiles.items():
        times = stamps if device.kind == VEHICLE or draw(st.booleans()) else draw(_stamps(begin))
        energies = draw(st.lists(ENERGIES, min_size=len(times), max_size=len(times)))
        values = draw(_registers(profile, energies))
        found = [Reading(*device, stamp, kwh) for stamp, kwh in zip(times, values, strict=True)]
        if device.kind == VEHICLE:
            found = [
                replace(
                    reading,
                    soc=draw(st.none() | st.just(20.0 + n % 80)),
                    battery_temp=draw(st.none() | st.just(25.0 + n)),
                )
                for n, reading in enumerate(found)
            ]
        if profile.energy_kind == "register":
            exchanges += draw(exchanges_of(device, profile, found))
        sent += found
    sent = draw(st.permutations(sent + draw(repeats(sent, 6))))
    steps: list[object] = []
    while sent:
        size = draw(st.integers(1, 12))
        batch, sent = sent[:size], sent[size:]
        for kind in ENERGY:
            if of_kind := [reading for reading in batch if reading.kind == kind]:
                steps.append(of_kind)
        steps += draw(st.lists(st.sampled_from([METER, VEHICLE, "by hand", "link"]), max_size=1))
    for exchange in exchanges:
        steps.insert(draw(st.integers(0, len(steps))), exchange)
    edges = st.sampled_from([*stamps, begin])
    links = [
        Link(vehicle, draw(st.sampled_from(meters)), *sorted(draw(st.lists(edges, min_size=2, max_size=2))))
        for _ in range(8)
    ]
    windows = draw(st.lists(edges, min_size=3, max_size=3))
    return World(ZONE, profiles, []), profiles, links, steps, sorted(windows)


def _assert_windows(database: EnergyDatabase, vehicle: str, edges: list[datetime]) -> None:
    """A window has the sessions of the view that begin in it, however much is stale."""
    names = "session_id::text AS session_id, started_at, ended_at, kwh_delivered_dc, meter_readings, soc_start"
    view = f"SELECT {names} FROM bi.charging_session WHERE vehicle_id = %s AND started_at >= %s AND started_at < %s"
    function = f"SELECT {names} FROM telemetry.list_sessions(ARRAY[%s], %s, %s)"
    for start, end in pairwise(edges):
        shown, listed = (
            sorted(database.rows(query, vehicle, start, end), key=lambda row: row["started_at"])
            for query in (view, function)
        )
        assert [[close(value) for value in row.values()] for row in listed] == [[*row.values()] for row in shown]


@pytest.mark.parametrize("begin", [CHANGE, None], ids=["past", "now"])
@pytest.mark.timeout(max(120, EXAMPLES * 20))
def test_sessions_are_those_of_the_history_at_any_time(energy_database: EnergyDatabase, begin: datetime | None) -> None:
    database = energy_database
    # up to about now, so that most of it is newer than what is refreshed
    since = begin or datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=6)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not IS_PROOF,
        report_multiple_bugs=False,
    )
    @given(_scenario(since))
    def check(scenario: tuple[World, dict[Device, Profile], list[Link], list[object], list[datetime]]) -> None:
        world, profiles, links, steps, edges = scenario
        [vehicle] = [device.device_id for device in profiles if device.kind == VEHICLE]
        database.prepare(profiles, [])
        for step in steps:
            match step:
                case "by hand":
                    database.refresh_by_hand("vehicle_15min", None, None)
                    database.refresh_by_hand("meter_15min", since, since + timedelta(hours=3))
                case "link":
                    link = links.pop()
                    if link.start != link.end:
                        assert database.link(*link) == world.link(*link)
                case Exchange(exchanged_at=moment):
                    if moment <= datetime.now(UTC) and database.exchange(step):
                        world.exchange(step)
                case str(kind):
                    database.refresh(kind)
                case list(batch):
                    batch = [reading for reading in batch if reading.recorded_at <= datetime.now(UTC)]
                    if batch:
                        assert_outcomes(batch, database.arrive(batch), world.arrive(batch))
            assert not session_faults(database, world), step
            _assert_windows(database, vehicle, edges)
        for kind in ENERGY:
            database.refresh(kind)
        assert not session_faults(database, world)
        assert database.rows("SELECT * FROM telemetry.stale_session") == []

    check()
