"""Fixtures: a small fleet in Europe/Berlin whose answers are worked out by hand, and a BI login that reads it."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.oracle.records import Device, Link, Profile, Reading
from tests.support import TestDatabase, run_migrated_database
from tests.support.energy_world import AGGREGATES, EnergyDatabase
from tests.support.processes import run

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime.now(UTC)
TODAY = NOW.astimezone(ZONE).date()
JUST_NOW = NOW - timedelta(minutes=10)


def day(days_ago: int) -> date:
    return TODAY - timedelta(days=days_ago)


def local(on: date, clock: str = "00:00") -> datetime:
    """Return a time of the fleet's time zone in UTC."""
    return datetime.combine(on, time.fromisoformat(clock), ZONE).astimezone(UTC)


def at(days_ago: int, clock: str = "12:10") -> datetime:
    return local(day(days_ago), clock)


def first_of_month(months_ago: int) -> date:
    months = TODAY.year * 12 + TODAY.month - 1 - months_ago
    return date(months // 12, months % 12 + 1, 1)


def meter(number: str, when: datetime, kwh: float, voltage: float = 230.0) -> Reading:
    return Reading("meter", f"M{number}", when, kwh, voltage=voltage)


def vehicle(number: str, when: datetime, kwh: float, soc: float = 50.0, temp: float = 30.0) -> Reading:
    return Reading("vehicle", f"V{number}", when, kwh, soc=soc, battery_temp=temp)


def both(number: str, when: datetime, ac: float, dc: float, temp: float = 30.0) -> list[Reading]:
    return [meter(number, when, ac), vehicle(number, when, dc, temp=temp)]


LINK = Link("V001", "M101", at(2, "13:00"), None)

# A reading counts in the bucket in which its interval ends: on the edge of two buckets in the earlier one.
READINGS = [
    # 001: M001 feeds it until 13:00 two days ago, M101 after that; the readings of 13:00 are the last of M001's time
    *both("001", at(5), 20, 18),
    *both("001", at(2, "12:00"), 10, 9),
    *both("001", at(2, "13:00"), 8, 6),
    meter("101", at(2, "12:10"), 7),
    meter("101", at(2, "13:10"), 5),
    vehicle("001", at(2, "13:10"), 4.5),
    vehicle("001", at(2, "14:10"), 1),
    # 002: two charging sessions; a quarter hour without energy belongs to neither
    meter("002", at(2, "18:05"), 8),
    vehicle("002", at(2, "18:05"), 2, soc=20),
    vehicle("002", at(2, "18:20"), 2, soc=25),
    vehicle("002", at(2, "18:45"), 2, soc=31),
    vehicle("002", at(2, "18:50"), 0, soc=31),
    vehicle("002", at(2, "20:05"), 1, soc=40),
    # 003: low on three days running, and on two more, one before the week; 004: on two and two, and parked between them
    *both("003", at(8), 10, 8),
    *both("003", at(6), 10, 8),
    *both("003", at(5), 10, 8),
    *both("003", at(4), 10, 8),
    *both("003", at(2, "00:00"), 15, 13.5),  # of the day before
    *both("003", at(2), 10, 8),
    *both("004", at(7), 10, 8),
    *both("004", at(6), 10, 8),
    *both("004", at(5), 1, 0),
    *both("004", at(3), 10, 8),
    *both("004", at(2), 10, 8),
    # 005: hot in two quarter hours, and once before the week
    *both("005", at(9), 1.1, 1, temp=60),
    *both("005", at(3, "12:10"), 1.1, 1, temp=47.5),
    *both("005", at(3, "12:30"), 1.1, 1, temp=51),
    *both("005", at(2), 1.1, 1, temp=45),
    # 006: parked for a day (standby of 0.05 kW is 1.2 kWh a day); later as hot as is allowed
    *both("006", at(6), 0.5, 0),
    *both("006", at(3), 1.1, 1, temp=45),
    # 007: a day without readings of the vehicle; 008: one of the 1,440 readings that a day should have
    *both("007", at(9), 1.1, 1),
    meter("007", at(3), 3),
    *both("008", at(4), 1, 0.9),
    vehicle("008", at(9), 1),  # and a day without readings of its meter, before the week
    # 009: still sending
    *both("009", JUST_NOW, 1.1, 1),
    # 010: charges 60 points on five days of a month, and on five of the next one, when its battery has faded by a tenth
    *(
        vehicle("010", local(first_of_month(months) + timedelta(days=n), clock), kwh, soc)
        for months, whole in ((5, 36.0), (4, 32.4))
        for n in range(1, 6)
        for clock, kwh, soc in (("12:00", 0, 20), ("12:15", whole, 80))
    ),
    # 102: out of band in two quarter hours, and once before the week; 103: at its edges. They feed no vehicle.
    meter("102", at(9), 1, voltage=300),
    meter("102", at(3, "12:10"), 1, voltage=254.2),
    meter("102", at(3, "12:25"), 1, voltage=206),
    meter("102", at(2), 1, voltage=230),
    meter("103", at(3, "12:10"), 1, voltage=207),
    meter("103", at(3, "12:25"), 1, voltage=253),
    # 104: long ago; the midnight that ends a month; before all that is asked
    meter("104", at(200), 40),
    meter("104", local(first_of_month(2)), 50),
    meter("104", at(430), 60),
]
LATE = meter("104", at(200, "15:10"), 70)  # arrives after its buckets are materialized, and no refresh has run since
INTERVALS = {
    # hours can be judged only of devices that send in every hour
    **dict.fromkeys(("M001", "V001", "M101"), timedelta(hours=1)),
    # of V008 the profile says a minute; M008 has neither a profile nor a second reading, so a minute is assumed
    "V008": timedelta(minutes=1),
}
PROFILES = {
    Device(reading.kind, reading.device_id): Profile(
        expected_interval=INTERVALS.get(reading.device_id, timedelta(days=1))
    )
    for reading in READINGS
    if reading.device_id != "M008"
}
PRICES = [(Decimal("0.3"), "EUR", at(4, "00:00"), None), (Decimal("2"), "SEK", at(4, "00:00"), "M101")]
"""Price, currency, start and meter: what is before the start has no price. A kWh is 400 g of CO2 at all times."""
MATERIALIZED_UNTIL = at(3, "00:00")  # what is later is read in real time


@dataclass(frozen=True)
class BiDatabase:
    """A database: `url` connects as a reader of bi, `admin_url` as a superuser (on a server only)."""

    url: str
    admin_url: str
    is_embedded: bool


@contextlib.contextmanager
def run_bi_login(database: TestDatabase) -> Iterator[BiDatabase]:
    """Make a login with `energy migrate --bi-login`; drop it afterwards.

    The embedded database has no logins, and one session that all connections share: its role is set for all.
    """
    if database.is_embedded:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SET ROLE energy_bi")
        yield BiDatabase(database.url, database.url, is_embedded=True)
        return
    login = f"energy_bi_{uuid.uuid4().hex[:12]}"
    made = run("migrate", "--bi-login", login, DATABASE_URL=database.url, ENERGY_BI_PASSWORD="secret1")
    assert made.returncode == 0, made.stderr
    try:
        yield BiDatabase(re.sub(r"//[^@/]*@", f"//{login}:secret1@", database.url), database.url, is_embedded=False)
    finally:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {login}")


@pytest.fixture(scope="package")
def bi_database(test_database: TestDatabase) -> Iterator[BiDatabase]:
    """The fleet, partly materialized, behind a BI login."""
    with run_migrated_database(test_database, ZONE.key) as another:
        with psycopg.connect(another.url, autocommit=True) as connection:
            fleet = EnergyDatabase(connection)
            fleet.prepare(PROFILES, [LINK])
            for kind in ("meter", "vehicle"):
                outcomes = fleet.arrive([reading for reading in READINGS if reading.kind == kind])
                assert set(outcomes) == {"stored"}
            for aggregate in AGGREGATES:
                fleet.refresh_by_hand(aggregate, None, MATERIALIZED_UNTIL)
            assert fleet.arrive([LATE]) == ["stored"]
            for price in PRICES:
                connection.execute("SELECT ops.set_price(%s, %s, 'default', %s, NULL, %s)", price)
            connection.execute("SELECT ops.set_grid_intensity(400)")
        with run_bi_login(another) as reader:
            yield reader
