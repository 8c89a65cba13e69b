"""Cost by day agrees with an oracle on the clocks of a time zone, and parts of a day add up to the day."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.records import Link, Reading
from tests.oracle.tariffs import MINUTES_A_DAY, Costs, Price, costs, overlaps
from tests.support import TestDatabase
from tests.support.energy_world import EnergyDatabase, close, latest_clock_change, run_energy_database

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "8"))
ZONE = ZoneInfo("Europe/Berlin")
BASE = latest_clock_change(ZONE.key)
DAYS = 3
_numbers = itertools.count()
MINUTES = st.integers(1, DAYS * MINUTES_A_DAY)
QUARTERS = st.integers(0, DAYS * MINUTES_A_DAY // 15).map(lambda number: BASE + number * timedelta(minutes=15))
AMOUNTS = st.integers(-100, 1000).map(lambda number: Decimal(number) / 1000)
ENERGY_COST = "SELECT * FROM telemetry.energy_cost(%s, %s, %s)"
SET_PRICE = "SELECT ops.set_price(%s, %s, 'default', %s, %s, %s, %s, %s, %s)"


@st.composite
def prices(draw: st.DrawFn) -> Price:
    start, end = draw(st.none() | QUARTERS), draw(st.none() | QUARTERS)
    if start is not None and end is not None and start >= end:
        start, end = end, start + timedelta(minutes=15)
    days, first, last = "1234567", 0, MINUTES_A_DAY
    if draw(st.booleans()):
        days = "".join(sorted(draw(st.sets(st.sampled_from("1234567"), min_size=1))))
        first = draw(st.integers(0, 95)) * 15
        last = first + draw(st.integers(1, 95)) * 15
    meter = draw(st.sampled_from([None, None, "MA"]))
    return Price(draw(AMOUNTS), draw(st.sampled_from(["EUR", "EUR", "SEK"])), start, end, meter, days, first, last)


@st.composite
def readings(draw: st.DrawFn) -> list[Reading]:
    stamps = draw(st.sets(st.tuples(st.sampled_from(["MA", "MB"]), MINUTES), min_size=1, max_size=60))
    return [
        Reading("meter", meter, BASE + timedelta(minutes=minute), draw(st.integers(0, 9999)) / 1000, voltage=230.0)
        for meter, minute in sorted(stamps)
    ]


@st.composite
def links(draw: st.DrawFn) -> list[Link]:
    edges = sorted(draw(st.sets(MINUTES, max_size=2)))
    if len(edges) < 2:
        return []
    return [Link("VA", "MB", *(BASE + timedelta(minutes=edge) for edge in edges))]


@pytest.fixture(scope="module")
def database(test_database: TestDatabase) -> Iterator[EnergyDatabase]:
    with run_energy_database(test_database, ZONE.key) as database:
        yield database


def set_prices(database: EnergyDatabase, drawn: list[Price]) -> list[Price]:
    """Set prices one after the other; return those that are accepted, which are those that overlap none."""
    accepted: list[Price] = []
    for price in drawn:
        values = (price.amount, price.currency, price.start, price.end, price.meter, price.days)
        try:
            database.connection.execute(SET_PRICE, (*values, price.local_from, price.local_until))
        except psycopg.errors.ExclusionViolation:
            assert any(overlaps(price, other) for other in accepted), price
            continue
        accepted = [other for other in accepted if not overlaps(price, other)]  # one of the same times is changed
        accepted.append(price)
    return accepted


def by_day(rows: list[dict[str, Any]]) -> Costs:
    return {(row["vehicle_id"], row["bucket"], row["currency"]): (row["kwh_consumed_ac"], row["cost"]) for row in rows}


def assert_costs(found: Costs, expected: Costs) -> None:
    assert found.keys() == expected.keys()
    for key, (kwh, cost) in expected.items():
        assert found[key][0] == pytest.approx(float(kwh), abs=1e-9), key
        assert (found[key][1] is None) == (cost is None), key
        assert cost is None or float(found[key][1] or 0) == pytest.approx(float(cost), abs=1e-6), key


def assert_fleet(database: EnergyDatabase, window: tuple[datetime, datetime]) -> None:
    """The fleet, which is added up before it is priced, is the sum of its vehicles."""
    query = "SELECT %s AS vehicle_id, * FROM api.list_energy_costs(%s, 'daily', %s, %s, NULL)"
    ids = [row["vehicle_id"] for row in database.rows("SELECT vehicle_id FROM telemetry.vehicle_current_status")]
    expected: dict[Any, Any] = {}
    for id_ in ids:
        for (_, *place), (kwh, cost) in by_day(database.rows(query, id_, id_, *window)).items():
            kwh_before, cost_before = expected.get(("fleet", *place), (0, None))
            expected["fleet", *place] = (kwh_before + kwh, None if cost is None else cost + (cost_before or 0))
    assert_costs(by_day(database.rows(query, "fleet", None, *window)), expected)
    # the views are as stale as the aggregates, but agree with each other
    added_up = """
        SELECT bucket, currency, count(*) AS vehicles, sum(kwh_consumed_ac) AS kwh_consumed_ac,
            sum(kwh_priced) AS kwh_priced, sum(cost)::float8 AS cost
        FROM bi.vehicle_cost_daily GROUP BY bucket, currency ORDER BY bucket, currency
    """
    fleet = """
        SELECT bucket, currency, vehicles, kwh_consumed_ac, kwh_priced, cost::float8 AS cost
        FROM bi.fleet_cost_daily ORDER BY bucket, currency
    """
    assert [[close(value) for value in row.values()] for row in database.rows(fleet)] == [
        [*row.values()] for row in database.rows(added_up)
    ]


@pytest.mark.timeout(max(120, EXAMPLES * 20))
def test_every_kwh_has_the_price_of_its_quarter_hour(database: EnergyDatabase) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize="PROOF_EXAMPLES" not in os.environ,
    )
    @given(st.lists(prices(), max_size=6), readings(), links(), st.sets(MINUTES, max_size=4))
    def check(drawn: list[Price], sent: list[Reading], linked: list[Link], cuts: set[int]) -> None:
        # ids of its own, as the database keeps what the examples before it sent
        prefix = f"{os.getpid()}x{next(_numbers)}"
        defaults = {f"V{prefix}{name}": f"M{prefix}{name}" for name in "AB"}
        vehicle, meter = f"V{prefix}A", f"M{prefix}A"
        drawn = [replace(price, meter=price.meter and meter) for price in drawn]
        linked = [link._replace(vehicle_id=vehicle, meter_id=f"M{prefix}B") for link in linked]
        sent = [replace(reading, device_id=f"M{prefix}{reading.device_id[1:]}") for reading in sent]
        idle = [Reading("meter", id_, BASE, 0.0, voltage=230.0) for id_ in defaults.values()]
        database.connection.execute("TRUNCATE ops.price")
        database.prepare({}, linked)
        database.arrive([Reading("vehicle", id_, BASE, 0.0, soc=50.0, battery_temp=20.0) for id_ in defaults])
        database.arrive([*idle, *sent[::2]])
        database.refresh("meter")
        accepted = set_prices(database, drawn)
        if late := sent[1::2]:
            database.arrive(late)

        # the answers of the API are exact before the refresh, the views after it
        expected = costs([*idle, *sent], linked, defaults, accepted, ZONE)
        window = (BASE - timedelta(days=2), BASE + timedelta(days=DAYS + 2))
        query = "SELECT %s AS vehicle_id, * FROM api.list_energy_costs(%s, 'daily', %s, %s, NULL)"
        answers = [row for id_ in defaults for row in database.rows(query, id_, id_, *window)]
        assert_costs(by_day(answers), expected)
        assert_fleet(database, window)
        database.refresh("meter")
        assert_fleet(database, window)
        query = "SELECT * FROM bi.vehicle_cost_daily WHERE vehicle_id = ANY (%s)"
        assert_costs(by_day(database.rows(query, list(defaults))), expected)

        # sessions and what is between them: any cuts
        edges = sorted({*window, *(BASE + timedelta(minutes=cut) for cut in cuts)})
        parts = [row for edge in pairwise(edges) for row in database.rows(ENERGY_COST, meter, *edge)]
        for whole in database.rows(ENERGY_COST, meter, *window):
            some = [part for part in parts if part["currency"] == whole["currency"]]
            assert sum(part["kwh_consumed_ac"] for part in some) == pytest.approx(whole["kwh_consumed_ac"])
            if whole["cost"] is not None:
                assert sum(part["cost"] for part in some) == pytest.approx(whole["cost"], abs=Decimal("1e-9"))

    check()


def test_days_begin_on_the_clock_of_the_fleet() -> None:
    # or the property above would never meet a day of 23 or 25 hours
    days = [(BASE + timedelta(days=day)).astimezone(ZONE).date() for day in range(DAYS + 1)]
    lengths = {
        datetime(*(day + timedelta(days=1)).timetuple()[:3], tzinfo=ZONE).astimezone(UTC)
        - datetime(*day.timetuple()[:3], tzinfo=ZONE).astimezone(UTC)
        for day in days
    }
    assert lengths - {timedelta(days=1)}
