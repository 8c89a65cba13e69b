"""The queries in docs/bi.md, run as energy_bi on the fleet in conftest.py, give answers worked out by hand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.bi.conftest import (
    JUST_NOW,
    LATE,
    MATERIALIZED_UNTIL,
    READINGS,
    ZONE,
    BiDatabase,
    at,
    day,
    first_of_month,
    local,
)
from tests.bi.document import DOCUMENT, QUERIES

SESSION_ZONES = ["UTC", "America/New_York"]
LIVE_WAS_YESTERDAY = JUST_NOW.astimezone(ZONE).date() == day(1)  # a few minutes past midnight
FRESHNESS = "Buckets that are stale"
# from a table of their own, without chunks
SESSIONS = ("Charging sessions", "Charging by vehicle", "Cost of charging sessions", "Batteries that fade")


def length(days_ago: int) -> timedelta:
    """Return the length of a day: 23 or 25 hours where the clocks change."""
    return at(days_ago - 1, "00:00") - at(days_ago, "00:00")


def hours(days_ago: int) -> float:
    return length(days_ago) / timedelta(hours=1)


MINUTES = length(4) / timedelta(minutes=1)  # of the day of 008


def week_of_the_fleet() -> list[tuple[Any, ...]]:
    rows = [
        # day, AC, DC, ratio, vehicles: all, low, impossible, idle, unknown
        (day(7), 10, 8, 0.8, 1, 1, 0, 0, 0),
        (day(6), 20, 16, 0.8, 3, 2, 0, 1, 0),  # without the 0.5 kWh of 006, which was parked
        (day(5), 30, 26, 0.8667, 3, 1, 0, 1, 0),  # without the 1 kWh of 004, which was parked
        (day(4), 11, 8.9, 0.8091, 2, 1, 0, 0, 0),
        (day(3), 28.3, 24.5, 0.8657, 5, 1, 0, 0, 1),  # without the 3 kWh of 007, of which one side is unknown
        (day(2), 47.1, 44.5, 0.9448, 5, 2, 1, 0, 0),  # the whole day of 001 is that of M001: 20.5 of 18 kWh
    ]
    if LIVE_WAS_YESTERDAY:
        rows.append((day(1), 1.1, 1, 0.9091, 1, 0, 0, 0, 0))
    return rows


def kwh_by(key: Any, since: datetime) -> list[tuple[Any, float]]:
    sums: defaultdict[Any, float] = defaultdict(float)
    for reading in READINGS:
        if reading.kind == "meter" and reading.recorded_at >= since:
            # inside the interval, as its end may be the edge of a bucket
            sums[key((reading.recorded_at - timedelta(microseconds=1)).astimezone(ZONE))] += reading.kwh
    return sorted(sums.items())


def cost_of_the_fleet() -> list[tuple[Any, ...]]:
    priced = 11 + 31.3 + 47.1 + 1.1 * LIVE_WAS_YESTERDAY  # the days above, and the 3 kWh of 007
    free = 10 + 20.5 + 31  # the same, with what was parked
    return [
        ("EUR", priced, 26.82 + 0.33 * LIVE_WAS_YESTERDAY, 0.3, priced * 0.4),
        ("SEK", 5, 10, 2, 2),
        (None, free, None, None, free * 0.4),
    ]


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "The fleet's last seven days": week_of_the_fleet(),
    "The worst vehicles of the week": [("V004", 4, 40, 8, 0.8), ("V003", 4, 55, 9.5, 45.5 / 55)],
    "A vehicle hour by hour": [
        (at(2, "11:00"), "M001", 10, 9, 0.9, "normal"),
        (at(2, "12:00"), "M001", 8, 6, 0.75, "low"),
        (at(2, "13:00"), "M101", 5, 4.5, 0.9, "normal"),
        (at(2, "14:00"), None, None, 1, None, "unknown"),
    ],
    "Vehicles that are low three days running": [("V003", day(6), day(4), 3)],
    "Energy by hour of the day": kwh_by(lambda time: time.hour, at(27, "00:00")),
    "Batteries above 45 °C": [("V005", 51, 2, at(3, "12:15"))],
    "Voltage out of band": [("M102", 206, 254.2, 2)],
    "The mean voltage of every meter": [
        *((f"M00{n}", 230, count) for n, count in enumerate((3, 1, 5, 5, 3, 2, 1, 1, 1)[: 8 + LIVE_WAS_YESTERDAY], 1)),
        ("M101", 230, 2),
        ("M102", (254.2 + 206 + 230) / 3, 3),
        ("M103", 230, 2),
    ],
    "Days with gaps": [
        (day(3), "V007", 1, 1, 0, 1, 0),
        (day(4), "V008", 1, MINUTES, 1, MINUTES, 1 / MINUTES),
        (day(5), "V001", 1, hours(5), 1, hours(5), 1 / hours(5)),
        (day(2), "V001", 2, hours(2), 4, hours(2), 2 / hours(2)),
    ],
    "Vehicles without recent readings": [
        ("V008", at(4, "12:00")),
        ("V006", at(3, "12:00")),
        ("V003", at(2, "12:00")),
        ("V004", at(2, "12:00")),
        ("V005", at(2, "12:00")),
        ("V001", at(2, "14:00")),
        ("V002", at(2, "20:00")),
    ],
    "Energy by month": kwh_by(lambda time: time.date().replace(day=1), local(first_of_month(12))),
    "A vehicle's energy by the meter that fed it": [
        ("M001", at(5, "12:00"), at(2, "12:00"), 38, 33),
        ("M101", at(2, "13:00"), at(2, "13:00"), 5, 4.5),
        (None, at(2, "14:00"), at(2, "14:00"), None, 1),
    ],
    "Standby energy": [("V004", 1, 1), ("V006", 1, 0.5)],
    "A vehicle's cost day by day": [
        (day(5), None, 20, None, 8),
        (day(2), "EUR", 18, 5.4, 7.2),  # of M001, until 13:00
        (day(2), "SEK", 5, 10, 2),  # of M101, after that
    ],
    "The fleet's cost of the week": cost_of_the_fleet(),
    "Energy of no vehicle": [
        ("M101", 7, at(2, "12:00")),
        ("M102", 3, at(2, "12:00")),
        ("M103", 2, at(3, "12:00")),
    ],
    "Charging sessions": [
        (at(2, "18:04"), at(2, "18:45"), 6, 8, 20, 31),  # of the first reading the interval is not known yet: a minute
        (at(2, "20:00"), at(2, "20:05"), 1, None, 40, 40),  # after a gap: an interval of 5 minutes, as before it
    ],
    "Charging by vehicle": [
        ("V002", 2, 7, 46 / 60, 120),
        ("V009", 1, 1, 1 / 60, 60),
    ],
    "Cost of charging sessions": [
        (at(2, "18:04"), 8, "EUR", 2.4, 0.3, 3.2 / 6),
        (at(2, "20:00"), None, None, None, None, None),
    ],
    "Batteries that fade": [("V010", local(first_of_month(4)), 5, 54, 0.9)],
    FRESHNESS: [
        ("bi.meter_15min", at(200, "15:00"), at(200, "15:15")),
        ("bi.meter_daily", at(200, "00:00"), at(199, "00:00")),
        ("bi.meter_hourly", at(200, "15:00"), at(200, "16:00")),
    ],
}


@pytest.fixture(scope="module")
def bi_connection(bi_database: BiDatabase) -> Iterator[psycopg.Connection[Any]]:
    # nothing prepared: the connections to the embedded database share its names too
    with psycopg.connect(bi_database.url, autocommit=True, prepare_threshold=None) as connection:
        assert connection.execute("SELECT pg_has_role(current_user, 'energy_bi', 'member')").fetchone() == (True,)
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        yield connection


def ask(connection: psycopg.Connection[Any], query: str, time_zone: str = "UTC") -> list[tuple[Any, ...]]:
    connection.execute("SELECT set_config('TimeZone', %s, FALSE)", [time_zone])
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("time_zone", SESSION_ZONES)
@pytest.mark.parametrize("title", QUERIES)
def test_a_query_of_the_document_answers_what_was_worked_out_by_hand(
    bi_connection: psycopg.Connection[Any], title: str, time_zone: str
) -> None:
    found = ask(bi_connection, QUERIES[title], time_zone)
    expected = ANSWERS[title]
    assert [
        tuple(value if not isinstance(value, float) else pytest.approx(value) for value in row) for row in found
    ] == expected
    # what every client has a type for: no numeric, which many show as text or Decimal
    assert {type(value) for row in found for value in row} <= {str, int, float, bool, date, datetime, type(None)}


def test_every_query_of_the_document_is_asked_and_there_are_ten_or_more() -> None:
    assert len(QUERIES) == DOCUMENT.count("```sql") >= 10
    assert QUERIES.keys() == ANSWERS.keys()


def test_no_query_of_the_document_repeats_a_threshold_of_the_database() -> None:
    assert [title for title, query in QUERIES.items() if re.search(r"0\.85|0\.05|kwh_\w+ (>|<|=|IS)", query)] == []


@pytest.mark.concurrent  # two roles at once
@pytest.mark.parametrize("title", [title for title in QUERIES if title not in (FRESHNESS, *SESSIONS)])
def test_a_query_of_the_document_opens_no_chunk_from_before_what_it_asks_for(
    bi_database: BiDatabase, bi_connection: psycopg.Connection[Any], title: str
) -> None:
    days = 400 if title == "Energy by month" else 31
    with psycopg.connect(bi_database.admin_url) as admin:
        query = "SELECT chunk_name FROM timescaledb_information.chunks WHERE range_end < now() - %s * INTERVAL '1 day'"
        older = {name for (name,) in admin.execute(query, [days])}
    assert len(older) >= 3
    lines = [line for (line,) in ask(bi_connection, f"EXPLAIN (ANALYZE) {QUERIES[title]}")]
    plan = "\n".join(line for line in lines if "never executed" not in line)
    opened = set(re.findall(r"_hyper_\d+_\d+_chunk", plan))
    assert opened
    assert opened & older == set()


def test_the_fleet_is_partly_materialized(bi_connection: psycopg.Connection[Any]) -> None:
    # or the answers above would say nothing of one half of a real-time aggregate
    for kind in ("meter", "vehicle"):
        query = f"SELECT min(bucket) < %s, max(bucket) > %s FROM bi.{kind}_hourly"
        assert bi_connection.execute(query, [MATERIALIZED_UNTIL, MATERIALIZED_UNTIL]).fetchone() == (True, True)


def judged(connection: psycopg.Connection[Any], resolution: str, vehicle: str, bucket: datetime) -> tuple[Any, ...]:
    """Return what an efficiency relation says of one bucket: AC, DC, ratio, status."""
    rows = connection.execute(
        f"SELECT kwh_consumed_ac, kwh_delivered_dc, efficiency_ratio, efficiency_status "
        f"FROM bi.vehicle_efficiency_{resolution} WHERE vehicle_id = %s AND bucket = %s",
        [vehicle, bucket],
    )
    [row] = rows.fetchall()
    return tuple(row)


def test_a_reading_on_an_edge_counts_in_the_bucket_that_ends_there(bi_connection: psycopg.Connection[Any]) -> None:
    # stamped midnight: the energy is that of the day and the hour before
    assert judged(bi_connection, "daily", "V003", at(3, "00:00")) == (15, 13.5, 0.9, "normal")
    last_hour = at(2, "00:00") - timedelta(hours=1)
    assert judged(bi_connection, "hourly", "V003", last_hour)[:2] == (15, 13.5)
    labels = bi_connection.execute(
        "SELECT bucket FROM bi.meter_15min WHERE meter_id = 'M003' AND bucket >= %s ORDER BY bucket", [at(3, "12:10")]
    ).fetchall()
    assert labels == [(at(2, "00:00") - timedelta(minutes=15),), (at(2, "12:00"),)]


def test_an_hour_of_devices_that_send_once_a_day_is_unknown_and_their_day_is_judged(
    bi_connection: psycopg.Connection[Any],
) -> None:
    assert judged(bi_connection, "hourly", "V003", at(4, "12:00")) == (10, 8, None, "unknown")
    assert judged(bi_connection, "daily", "V003", at(4, "00:00")) == (10, 8, 0.8, "low")


def test_an_idle_day_has_its_energy_and_no_ratio(bi_connection: psycopg.Connection[Any]) -> None:
    assert judged(bi_connection, "daily", "V006", at(6, "00:00")) == (0.5, 0, None, "idle")


def test_a_late_reading_is_not_in_the_aggregates_before_a_refresh(bi_connection: psycopg.Connection[Any]) -> None:
    # or the answer about stale buckets would be wrong
    query = "SELECT count(*) FROM bi.meter_15min WHERE meter_id = %s AND bucket = %s"
    assert bi_connection.execute(query, [LATE.device_id, at(200, "15:00")]).fetchone() == (0,)
