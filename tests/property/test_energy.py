"""The database agrees with an oracle that shares no code with it, whatever is sent and in whatever order."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.model import World
from tests.oracle.strategies import Scenario, scenarios
from tests.support import TestDatabase
from tests.support.energy_world import (
    EnergyDatabase,
    assert_aggregates,
    assert_buckets,
    assert_efficiency,
    assert_outcomes,
    assert_performance,
    assert_readings,
    latest_clock_change,
    run_energy_database,
)

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "5"))
"""Of each time zone; `make proof` asks for more."""
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
DAYS = 4
_numbers = itertools.count()


@pytest.fixture(scope="module", params=ZONES)
def zoned(test_database: TestDatabase, request: pytest.FixtureRequest) -> Iterator[tuple[str, EnergyDatabase]]:
    """A database of this time zone."""
    with run_energy_database(test_database, request.param) as database:
        yield request.param, database


def arrive(database: EnergyDatabase, world: World, scenario: Scenario, numbers: Iterable[int]) -> None:
    """Batches of these numbers arrive, and what is declared before each; after the last one comes what is left."""
    for number in numbers:
        for before, exchange in scenario.exchanges:
            if before == number and database.exchange(exchange):
                world.exchange(exchange)
        for batch in scenario.batches[number : number + 1]:
            assert_outcomes(batch, database.arrive(batch), world.arrive(batch))


@pytest.mark.timeout(max(120, EXAMPLES * 20))
def test_what_is_read_is_what_was_sent(zoned: tuple[str, EnergyDatabase]) -> None:
    zone, database = zoned
    base = latest_clock_change(zone)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize="PROOF_EXAMPLES" not in os.environ,
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        # ids of its own, as the database keeps what the examples before it sent
        prefix = f"{os.getpid()}x{next(_numbers)}"
        scenario = data.draw(scenarios(prefix, base, time_zones=[zone], days=DAYS))
        world = World(zone, scenario.profiles, scenario.links)
        database.prepare(scenario.profiles, scenario.links)
        half = data.draw(st.integers(0, len(scenario.batches)))
        resolutions = data.draw(st.permutations(["15min", "hourly", "daily"]))
        _, start, end = data.draw(st.sampled_from(scenario.windows))

        arrive(database, world, scenario, range(half))
        assert_readings(database, world)
        assert_performance(database, world, scenario.windows)
        assert_buckets(database, world, start, end, resolutions[0])
        database.refresh()
        assert_performance(database, world, scenario.windows)
        assert_buckets(database, world, start, end, resolutions[1])
        assert_aggregates(database, world)
        assert_efficiency(database, world, whole_fleet=False)
        if data.draw(st.booleans()):
            database.compress()

        # from here on everything is late: it lies in what is materialized, and maybe in the columnstore
        arrive(database, world, scenario, range(half, len(scenario.batches) + 1))
        assert_readings(database, world)
        assert_performance(database, world, scenario.windows)
        assert_buckets(database, world, start, end, resolutions[2])
        database.refresh()
        database.compress()
        assert_readings(database, world)
        assert_performance(database, world, scenario.windows)
        assert_aggregates(database, world)
        assert_efficiency(database, world, whole_fleet=False)

    check()


@pytest.mark.timeout(max(120, EXAMPLES * 20))
def test_before_any_refresh_the_views_say_it_in_real_time(test_database: TestDatabase) -> None:
    zone = "Europe/Berlin"
    base = latest_clock_change(zone)

    with run_energy_database(test_database, zone) as database:
        tables = ("telemetry_history", "current_status")

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(scenarios("live", base, time_zones=[zone], days=DAYS))
        def check(scenario: Scenario) -> None:
            database.connection.execute(
                "TRUNCATE telemetry.device_profile, telemetry.register_exchange, telemetry.vehicle_meter_link"
            )
            for table in (f"telemetry.{kind}_{table}" for kind in ("meter", "vehicle") for table in tables):
                database.connection.execute(f"DELETE FROM {table}")
            world = World(zone, scenario.profiles, scenario.links)
            database.prepare(scenario.profiles, scenario.links)
            arrive(database, world, scenario, range(len(scenario.batches) + 1))
            assert_aggregates(database, world)
            assert_efficiency(database, world, whole_fleet=True)

        check()
