"""Interleavings of ingest, refresh, compression and retention: an aggregate is right, or declared stale.

After every step, in one snapshot, each bucket of each aggregate and view equals the oracle's or lies in a range of
bi.stale_range. The answers of the API are exact at every moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.interleaving import (
    Compress,
    Drop,
    Interleaving,
    MakeLink,
    Refresh,
    RefreshByHand,
    Send,
    Step,
    interleavings,
)
from tests.oracle.model import World
from tests.oracle.records import METER, VEHICLE, Reading
from tests.support import TestDatabase
from tests.support.energy_world import (
    AGGREGATES,
    EnergyDatabase,
    aggregate_faults,
    assert_buckets,
    assert_fleet,
    assert_outcomes,
    assert_overview,
    assert_performance,
    assert_readings,
    efficiency_faults,
    fleet_day_faults,
    latest_clock_change,
    run_energy_database,
    session_faults,
)

pytestmark = pytest.mark.long

IS_PROOF = "PROOF_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "3"))
"""Of each time zone; `make proof` asks for more."""
MOST_STEPS, MOST_READINGS = (24, 80) if IS_PROOF else (10, 40)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata") if IS_PROOF else ("Europe/Berlin",)
DAYS = 4
MOST_BUCKETS = timedelta(days=30)
"""A longer window has more quarter hours than are shown at once."""


@pytest.fixture(scope="module", params=ZONES)
def zoned(test_database: TestDatabase, request: pytest.FixtureRequest) -> Iterator[tuple[str, EnergyDatabase]]:
    """A database of this time zone."""
    with run_energy_database(test_database, request.param) as database:
        yield request.param, database


@pytest.mark.timeout(max(120, EXAMPLES * 60))
def test_an_aggregate_is_right_or_says_that_it_is_stale(zoned: tuple[str, EnergyDatabase]) -> None:
    zone, database = zoned
    base = latest_clock_change(zone)
    now = datetime.now(UTC).replace(second=0, microsecond=0)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not IS_PROOF,
        report_multiple_bugs=False,
    )
    @given(interleavings("i", zone, base, DAYS, now, MOST_STEPS, MOST_READINGS))
    def check(interleaving: Interleaving) -> None:
        run(zone, database, interleaving)

    check()


METER_15MIN, METER_HOURLY, METER_DAILY = "meter_15min", "meter_hourly", "meter_daily"
TEN = latest_clock_change(ZONES[0]).replace(hour=10, minute=0) + timedelta(days=2)
"""Ten o'clock of a day long past."""


def sent(*minutes: int, meter: str = "Mi") -> Send:
    """The meter's readings, so many minutes after ten."""
    times = [TEN + timedelta(minutes=minute) for minute in minutes]
    return Send([Reading(METER, meter, time, 1.0, voltage=230.0) for time in times])


DAY = 24 * 60
ENDED = TEN.replace(hour=0) + timedelta(days=1)
HARD: dict[str, list[Step]] = {
    "a device sends late for history that was dropped by hand just before": [
        sent(7, 600, 5 * DAY),
        Refresh(METER),
        Drop(METER, ENDED, by_hand=True),
        sent(120, meter="Mj"),
        Refresh(METER),
    ],
    "and for history of which nothing was taken up": [
        sent(7),
        Refresh(METER),
        Drop(METER, ENDED, by_hand=True),
        sent(300),
        Refresh(METER),
        sent(5 * DAY),
        Refresh(METER),
    ],
    "retention drops what is taken up, and waits for the rest": [
        sent(7, 600, 5 * DAY),
        Refresh(METER),
        sent(8),
        Drop(METER, ENDED, by_hand=False),
        Refresh(METER),
        Drop(METER, ENDED, by_hand=False),
        sent(9),
        Refresh(METER),
    ],
    "the first readings are too new for the job": [
        Send([Reading(METER, "Mi", datetime.now(UTC) - timedelta(minutes=1), 1.0, voltage=230.0)]),
        Refresh(METER),
    ],
    "hours are refreshed by hand before their quarter hours, then a reading comes late": [
        sent(7, 5 * DAY),
        RefreshByHand(METER_HOURLY, None, None),
        sent(20),
        Refresh(METER),
    ],
    "so are days, while there is nothing": [RefreshByHand(METER_DAILY, None, None), sent(7)],
    "quarter hours are refreshed by hand after some that are not": [
        sent(7, 5 * DAY),
        RefreshByHand(METER_15MIN, TEN + timedelta(days=4), None),
        RefreshByHand(METER_DAILY, None, None),
        RefreshByHand(METER_HOURLY, TEN - timedelta(days=1), TEN + timedelta(days=1)),
        sent(20),
    ],
    "a fleet falls silent within an hour, and a reading comes late for the rest of it": [
        sent(7),
        Refresh(METER),
        sent(20),
        sent(70),
        Refresh(METER),
        sent(55, 130),
        Refresh(METER),
    ],
    "retention drops what only a refresh by hand has taken up": [
        sent(14 * 60 - 1, 14 * 60 + 1),
        RefreshByHand(METER_15MIN, TEN + timedelta(hours=14), TEN + timedelta(days=2)),
        Drop(METER, ENDED + timedelta(days=1), by_hand=False),
    ],
    "a change ends at a midnight": [
        sent(7, 13 * 60, 5 * DAY),
        Refresh(METER),
        sent(8, 12 * 60, 12 * 60 + 1, 14 * 60, 14 * 60 + 1),
        Refresh(METER),
        sent(9, 14 * 60 + 5),
        RefreshByHand(METER_15MIN, TEN - timedelta(days=1), TEN + timedelta(days=2)),
        RefreshByHand(METER_DAILY, TEN - timedelta(days=3), TEN + timedelta(days=3)),
    ],
}


@pytest.mark.parametrize("name", HARD)
def test_what_is_hard_to_get_right(zoned: tuple[str, EnergyDatabase], name: str) -> None:
    windows = [("Vi", TEN - timedelta(minutes=10), TEN + timedelta(days=6)), ("Vi", TEN, TEN + timedelta(minutes=8))]
    vehicle = Send([Reading(VEHICLE, "Vi", TEN + timedelta(minutes=7), 1.0, soc=50.0, battery_temp=20.0)])
    run(*zoned, Interleaving({}, [], [vehicle, *HARD[name]], windows, resolution="hourly", session_zone="UTC"))


def run(zone: str, database: EnergyDatabase, interleaving: Interleaving) -> None:
    """Compare after each step, and once more when all is refreshed."""
    twins = Twins(zone, database, interleaving)
    for step in interleaving.steps:
        twins.take(step)
        twins.assert_answers()
    assert_readings(database, twins.world)
    for kind in (METER, VEHICLE):
        twins.take(Refresh(kind))
    twins.assert_answers(fresh=True)


class Twins:
    """The database and the oracle, to both of which the same happens."""

    def __init__(self, zone: str, database: EnergyDatabase, interleaving: Interleaving) -> None:
        self.database = database
        self.world = World(zone, interleaving.profiles, interleaving.links)
        self.interleaving = interleaving
        self.ahead: set[str] = set()
        """Of these kinds, aggregates that were refreshed by hand may hold what the job has not seen."""
        self.seen: dict[str, list[tuple[datetime, datetime]]] = {METER: [], VEHICLE: []}
        """The chunks of a history that were there when the job last ran."""
        database.clear()
        database.prepare(interleaving.profiles, interleaving.links)

    def take(self, step: Step) -> None:
        match step:
            case Send(batch):
                batch = [reading for reading in batch if self.world.can_mend(reading)]
                if batch:
                    assert_outcomes(batch, self.database.arrive(batch), self.world.arrive(batch))
            case Refresh(kind):
                self.database.refresh(kind)
                # what has ended five minutes ago is taken up
                self.world.take_up(kind, None, datetime.now(UTC) - timedelta(minutes=5))
                self.ahead.discard(kind)
                self.seen[kind] = self.database.chunks(kind)
                self.assert_fresh(kind)
            case RefreshByHand():
                self.refresh_by_hand(step)
            case Compress(kind):
                self.database.compress(kind)
            case MakeLink(vehicle, meter, start, end):
                assert self.database.link(vehicle, meter, start, end) == self.world.link(vehicle, meter, start, end)
            case Drop():
                self.drop(step)

    def refresh_by_hand(self, step: RefreshByHand) -> None:
        """Refresh a window, but no quarter hour whose history is dropped: by hand that would lose what is left."""
        kind, resolution = step.aggregate.split("_")
        start, end = step.start, step.end
        if resolution == "15min":
            start = max(filter(None, (start, self.world.dropped_until(kind))), default=None)
            if start is not None and end is not None and end - start < timedelta(hours=1):
                return
            self.world.take_up(kind, start, end)
        self.ahead.add(kind)
        self.database.refresh_by_hand(step.aggregate, start, end)

    def drop(self, step: Drop) -> None:
        """Drop history. The job has seen the chunks that are dropped by hand, as it runs every few minutes."""
        due = {chunk for chunk in self.database.chunks(step.kind) if chunk[1] <= step.before}
        if step.by_hand and (step.kind in self.ahead or not due <= {*self.seen[step.kind]}):
            self.take(Refresh(step.kind))
        drop = self.database.drop if step.by_hand else self.database.drop_due
        for start, end in drop(step.kind, step.before):
            lost = self.world.untaken(step.kind, start, end)
            assert step.by_hand or not lost, "retention dropped what was not taken up"
            self.world.drop(step.kind, start, end)

    def assert_answers(self, *, fresh: bool = False) -> None:
        """Compare every view and answer in one snapshot; `fresh` says that the job has run since the last change."""
        database, world, asked = self.database, self.world, self.interleaving
        with database.snapshot(asked.session_zone):
            stale = self.list_unended_stale() if fresh else database.rows("SELECT * FROM bi.stale_range")

            def is_stale(bucket: datetime, *names: str) -> bool:
                return any(
                    row["aggregate"].removeprefix("bi.") in names
                    and row["range_start"] <= bucket
                    and (row["range_end"] is None or bucket < row["range_end"])
                    for row in stale
                )

            for name in AGGREGATES:
                for (device, bucket), fault in aggregate_faults(database, world, name).items():
                    assert is_stale(bucket, name), (name, device, bucket, *fault)
            for resolution in ("hourly", "daily"):
                for (vehicle, bucket), fault in efficiency_faults(database, world, resolution).items():
                    assert is_stale(bucket, f"meter_{resolution}", f"vehicle_{resolution}"), (vehicle, bucket, *fault)
            for bucket, fault in fleet_day_faults(database, world).items():
                assert is_stale(bucket, "meter_daily", "vehicle_daily"), (bucket, *fault)
            assert_performance(database, world, asked.windows)
            for _, start, end in asked.windows[:2]:
                assert_fleet(database, world, start, end)
            _, start, end = asked.windows[0]
            assert_buckets(database, world, start, min(end, start + MOST_BUCKETS), asked.resolution)
            assert_overview(database, world)
            assert not session_faults(database, world)

    def list_unended_stale(self) -> list[dict[str, Any]]:
        """List the stale ranges that the job leaves: those after five minutes ago, or after the last quarter hour."""
        query = """
            SELECT * FROM bi.stale_range AS r
            WHERE r.range_end IS NULL OR r.range_end > least(now() - INTERVAL '20 minutes', %s::timestamptz)
        """
        return [
            row
            for kind in (METER, VEHICLE)
            for row in self.database.rows(query, self.world.taken_until(kind))
            if row["aggregate"].startswith(f"bi.{kind}")
        ]

    def assert_fresh(self, kind: str) -> None:
        """The job leaves no other stale range."""
        unended = self.list_unended_stale()
        others = [row for row in self.database.rows("SELECT * FROM bi.stale_range") if row not in unended]
        assert [row for row in others if row["aggregate"].startswith(f"bi.{kind}")] == []
