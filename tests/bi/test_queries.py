"""The queries in docs/bi.md, asked as energy_bi of the fleet in conftest.py, give what was worked out by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from docs import generate_bi
from tests.bi.conftest import JUST_NOW, MATERIALIZED_UNTIL, READINGS, ZONE, BiDatabase, at, day, first_of_month
from tests.bi.document import DOCUMENT, QUERIES
from tests.support import Owner

SESSION_ZONES = ["UTC", "America/New_York"]
LIVE_WAS_YESTERDAY = JUST_NOW.astimezone(ZONE).date() == day(1)  # a few minutes past midnight
MINUTES = (at(3, "00:00") - at(4, "00:00")) / timedelta(minutes=1)  # of the day of 008: 1,440 on most days


def week_of_the_fleet() -> list[tuple[Any, ...]]:
    rows = [
        (day(7), 10, 8, 0.8, 1, 1, 0, 0),
        (day(6), 20, 16, 0.8, 2, 2, 0, 0),
        (day(5), 30, 26, 0.8667, 2, 1, 0, 0),
        (day(4), 11, 8.9, 0.8091, 2, 1, 0, 0),
        (day(3), 28.3, 24.5, 0.8657, 5, 1, 0, 1),  # without the 3 kWh of 007, of which one side is unknown
        (day(2), 47.1, 44.5, 0.9448, 5, 2, 1, 0),  # the whole day of 001 is that of M001: 20.5 of 18 kWh
    ]
    if LIVE_WAS_YESTERDAY:
        rows.append((day(1), 1.1, 1, 0.9091, 1, 0, 0, 0))
    return rows


def kwh_by(key: Any, since: datetime) -> list[tuple[Any, float]]:
    sums: Counter[Any] = Counter()
    for reading in READINGS:
        if reading.stream == "meter" and reading.recorded_at >= since:
            sums[key(reading.recorded_at.astimezone(ZONE))] += reading.kwh
    return sorted(sums.items())


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "The fleet's last seven days": week_of_the_fleet(),
    "The worst vehicles of the week": [("V004", 40, 8, 0.8), ("V003", 55, 9.5, 45.5 / 55)],
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
        *((f"M00{n}", 230, count) for n, count in enumerate((3, 1, 5, 4, 3, 1, 1, 1, 1)[: 8 + LIVE_WAS_YESTERDAY], 1)),
        ("M101", 230, 2),
        ("M102", (254.2 + 206 + 230) / 3, 3),
        ("M103", 230, 2),
    ],
    "Days with gaps": [
        (day(3), "V007", 1, 1, 0, 1, 0),
        (day(4), "V008", 1, MINUTES, 1, MINUTES, 1 / MINUTES),
    ],
    "Vehicles that fell silent": [
        ("V008", at(4, "12:00")),
        ("V006", at(3, "12:00")),
        ("V003", at(2, "12:00")),
        ("V004", at(2, "12:00")),
        ("V005", at(2, "12:00")),
        ("V001", at(2, "14:00")),
        ("V002", at(2, "20:00")),
    ],
    "Energy by month": kwh_by(
        lambda time: time.date().replace(day=1), datetime.combine(first_of_month(12), datetime.min.time(), ZONE)
    ),
    "A vehicle's energy by the meter that fed it": [
        ("M001", at(5, "12:00"), at(2, "12:00"), 38, 33),
        ("M101", at(2, "13:00"), at(2, "13:00"), 5, 4.5),
        (None, at(2, "14:00"), at(2, "14:00"), None, 1),
    ],
    "Energy of no vehicle": [
        ("M101", 7, at(2, "12:00")),
        ("M102", 3, at(2, "12:00")),
        ("M103", 2, at(3, "12:00")),
    ],
    "Charging sessions": [
        (at(2, "18:00"), at(2, "18:45"), 6, 20, 31),
        (at(2, "20:00"), at(2, "20:15"), 1, 40, 40),
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


@pytest.mark.concurrent  # two roles at once
@pytest.mark.parametrize("title", QUERIES)
def test_a_query_of_the_document_opens_no_chunk_from_before_what_it_asks_for(
    bi_database: BiDatabase, bi_connection: psycopg.Connection[Any], title: str
) -> None:
    days = 400 if title == "Energy by month" else 31
    with psycopg.connect(bi_database.admin_url) as admin:
        query = "SELECT chunk_name FROM timescaledb_information.chunks WHERE range_end < now() - %s * INTERVAL '1 day'"
        older = {name for (name,) in admin.execute(query, [days])}
    assert len(older) >= 3
    plan = "\n".join(line for (line,) in ask(bi_connection, f"EXPLAIN {QUERIES[title]}"))
    opened = set(re.findall(r"_hyper_\d+_\d+_chunk", plan))
    assert opened
    assert opened & older == set()


def test_the_fleet_is_partly_materialized(bi_connection: psycopg.Connection[Any]) -> None:
    # or the answers above would say nothing of one half of a real-time aggregate
    for stream in ("meter", "vehicle"):
        query = f"SELECT min(bucket) < %s, max(bucket) > %s FROM bi.{stream}_hourly"
        assert bi_connection.execute(query, [MATERIALIZED_UNTIL, MATERIALIZED_UNTIL]).fetchone() == (True, True)


async def test_the_columns_in_the_document_are_those_of_the_database(owner: Owner) -> None:
    rows = await owner.fetch(generate_bi.COLUMNS)
    assert len({row[0] for row in rows}) == 10
    assert all(comment for row in rows for comment in (row[1], row[4]))
    assert generate_bi.render(rows) in DOCUMENT, "run: make docs"
