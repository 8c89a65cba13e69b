"""Charging sessions equal those of the oracle after every step: readings in any order, links, refreshes of any kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.model import World
from tests.oracle.records import METER, VEHICLE, Link, Reading
from tests.support import TestDatabase
from tests.support.energy_world import ENERGY, EnergyDatabase, latest_clock_change, run_energy_database, session_faults

IS_PROOF = "PROOF_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "8"))
ZONE = "Europe/Berlin"
MINUTE = timedelta(minutes=1)
CHANGE = latest_clock_change(ZONE).replace(hour=20) + timedelta(days=1)
"""The evening before the clocks change."""
PACES = [1, 1, 1, 5, 15, 30, 60]
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
def _scenario(draw: st.DrawFn, begin: datetime) -> tuple[World, list[Link], list[object]]:
    prefix = f"s{next(FLEETS)}"
    vehicle, meters = f"V{prefix}", [f"M{prefix}", f"S{prefix}"]
    stamps = draw(_stamps(begin))
    sent: list[Reading] = []
    energies = draw(st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.1, 1.5]), min_size=len(stamps), max_size=len(stamps)))
    for n, (stamp, kwh) in enumerate(zip(stamps, energies, strict=True)):
        soc = draw(st.none() | st.just(20.0 + n))
        sent.append(Reading(VEHICLE, vehicle, stamp, kwh, soc=soc, battery_temp=draw(st.none() | st.just(25.0 + n))))
    for meter in meters:
        times = stamps if draw(st.booleans()) else draw(_stamps(begin))
        sent += [Reading(METER, meter, stamp, 0.125, voltage=230.0) for stamp in times]
    sent = draw(st.permutations(sent))
    steps: list[object] = []
    while sent:
        size = draw(st.integers(1, 12))
        batch, sent = sent[:size], sent[size:]
        for kind in ENERGY:
            if of_kind := [reading for reading in batch if reading.kind == kind]:
                steps.append(of_kind)
        steps += draw(st.lists(st.sampled_from([METER, VEHICLE, "by hand", "link"]), max_size=1))
    edges = st.sampled_from([*stamps, begin])
    links = [
        Link(vehicle, draw(st.sampled_from(meters)), *sorted(draw(st.lists(edges, min_size=2, max_size=2))))
        for _ in range(8)
    ]
    return World(ZONE, {}, []), links, steps


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
    def check(scenario: tuple[World, list[Link], list[object]]) -> None:
        world, links, steps = scenario
        for step in steps:
            match step:
                case "by hand":
                    database.refresh_by_hand("vehicle_15min", None, None)
                    database.refresh_by_hand("meter_15min", since, since + timedelta(hours=3))
                case "link":
                    link = links.pop()
                    if link.start != link.end:
                        assert database.link(*link) == world.link(*link)
                case str(kind):
                    database.refresh(kind)
                case list(batch):
                    batch = [reading for reading in batch if reading.recorded_at <= datetime.now(UTC)]
                    if batch:
                        assert database.arrive(batch) == world.arrive(batch)
            assert not session_faults(database, world), step
        for kind in ENERGY:
            database.refresh(kind)
        assert not session_faults(database, world)
        assert database.rows("SELECT * FROM telemetry.stale_session") == []

    check()
