"""ops.set_default_max_kw: the limit of power of devices that have none of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.support import TestDatabase, now, run_migrated_database

MINUTE = timedelta(minutes=1)
START = now() - timedelta(hours=3)
FIELDS = {"meter": "kwhConsumedAc", "vehicle": "kwhDeliveredDc"}
INGEST = {
    "meter": "ROW(d, t, kwh, 230, 'test')::api.meter_reading",
    "vehicle": "ROW(d, t, 50, kwh, 20, 'test')::api.vehicle_reading",
}
KINDS = ("meter", "vehicle")


class Fleet:
    """A fleet whose readings arrive in SQL."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def limit(self, kind: str, kw: float | None) -> Any:
        [(limit,)] = self.connection.execute("SELECT ops.set_default_max_kw(%s, %s)", [kind, kw]).fetchall()
        return limit

    def declare(self, kind: str, device: str, **profile: Any) -> None:
        named = "".join(f", p_{name} => {value!r}" for name, value in profile.items())
        self.connection.execute(f"SELECT api.set_device_profile('{kind}', '{device}'{named})")

    def send(self, kind: str, device: str, *readings: tuple[float, float]) -> list[str]:
        """The outcomes of (minute, kWh), sent one by one."""
        return [self.send_batch(kind, (device, minute, kwh))[0][0] for minute, kwh in readings]

    def send_batch(self, kind: str, *readings: tuple[str, float, float]) -> list[tuple[str, str | None]]:
        rows = json.dumps([[device, (START + minute * MINUTE).isoformat(), kwh] for device, minute, kwh in readings])
        query = f"""
            SELECT i.outcome, i.detail FROM api.ingest_{kind}_readings((
                SELECT array_agg({INGEST[kind]} ORDER BY n)
                FROM (
                    SELECT r ->> 0 AS d, (r ->> 1)::timestamptz AS t, (r ->> 2)::float8 AS kwh, n
                    FROM json_array_elements(%s::json) WITH ORDINALITY AS e (r, n)
                ) AS r)) AS i
        """
        return self.connection.execute(query, [rows]).fetchall()


@pytest.fixture(scope="module")
def database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as another:
        yield another


@pytest.fixture
def fleet(database: TestDatabase) -> Iterator[Fleet]:
    with psycopg.connect(database.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        fleet = Fleet(connection)
        yield fleet
        for kind in KINDS:
            fleet.limit(kind, None)


@pytest.mark.parametrize("kind", KINDS)
def test_off_at_first_it_rejects_nothing_and_on_it_names_itself(fleet: Fleet, kind: str) -> None:
    assert fleet.send(kind, "Doff", (0, 9451.0), (1, 9451.0)) == ["stored", "stored"]
    assert fleet.limit(kind, 22) == 22
    # 22 kW give 0.3667 kWh a minute, and twice that passes
    assert fleet.send(kind, "Doff", (2, 0.73), (3, 0.74)) == ["stored", "implausible_energy"]
    [(outcome, detail)] = fleet.send_batch(kind, ("Doff", 3, 9451.0))
    limit = "means more than twice the energy that maxKw 22 of the fleet allows"
    assert (outcome, detail) == ("implausible_energy", f"{FIELDS[kind]} 9451 {limit}")
    other = KINDS[kind == "meter"]
    assert fleet.send(other, f"Dother-{kind}", (0, 9451.0)) == ["stored"]
    assert fleet.limit(kind, None) is None
    assert fleet.send(kind, "Doff", (3, 9451.0)) == ["stored"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_devices_own_limit_goes_first(fleet: Fleet, kind: str) -> None:
    fleet.limit(kind, 22)
    fleet.declare(kind, "Dlarge", max_kw=350.0)
    fleet.declare(kind, "Dsmall", max_kw=1.0)
    fleet.declare(kind, "Dnone", expected_interval_s=60.0)
    readings = [(device, 0, kwh) for device, kwh in (("Dlarge", 11.0), ("Dsmall", 0.04), ("Dnone", 0.74))]
    details = [detail for _, detail in fleet.send_batch(kind, *readings)]
    assert details[0] is None
    assert details[1] == f"{FIELDS[kind]} 0.04 means more than twice the energy that maxKw 1 of {kind}Id Dsmall allows"
    assert details[2] == f"{FIELDS[kind]} 0.74 means more than twice the energy that maxKw 22 of the fleet allows"


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_nothing_is_known_of_is_judged_by_a_day_then_by_the_time_since_its_newest_reading(
    fleet: Fleet, kind: str
) -> None:
    fleet.limit(kind, 22)
    # every quarter of an hour 5.5 kWh: no profile says so
    assert fleet.send(kind, "Dquarter", (0, 5.5), (15, 5.5), (30, 5.5), (45, 11.1)) == [
        *["stored"] * 3,
        "implausible_energy",
    ]
    assert fleet.send(kind, "Dwh", (0, 9451.0), (0, 1056.1), (0, 1056.0)) == [*["implausible_energy"] * 2, "stored"]
    assert fleet.send(kind, "Dwh", (1, 0.74), (1, 0.73), (2, 0.74)) == [
        "implausible_energy",
        "stored",
        "implausible_energy",
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", ["own", "fleet"])
def test_a_device_that_slows_down_is_not_locked_out(fleet: Fleet, kind: str, limit: str) -> None:
    device = f"Dslow-{limit}"
    if limit == "own":
        fleet.declare(kind, device, max_kw=22.0)
    else:
        fleet.limit(kind, 22)
    # a start sends twice within a minute; then every quarter of an hour 5.5 kWh
    sent = [(0, 0.1), (0.5, 0.1), (15.5, 5.5), (30.5, 5.5), (31.5, 0.8), (46.5, 11.1), (46.5, 11.0)]
    outcomes = [*["stored"] * 5, "implausible_energy", "stored"]
    assert fleet.send(kind, device, *sent) == outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_for_registers_and_for_their_exchanges(fleet: Fleet, kind: str) -> None:
    fleet.limit(kind, 22)
    fleet.declare(kind, "Dregister", energy_kind="register")
    # of the late one, too
    sent = [(0, 4000.0), (2, 4001.0), (3, 25000.0), (1, 4002.0), (1, 4000.7)]
    outcomes = ["stored", "stored", "implausible_energy", "implausible_energy", "stored"]
    assert fleet.send(kind, "Dregister", *sent) == outcomes
    exchange = "SELECT api.exchange_register(%s, 'Dregister', %s, %s, 25000)"
    with pytest.raises(psycopg.Error, match="lastRegister must be at most twice the energy that maxKw 22 allows"):
        fleet.connection.execute(exchange, [kind, START + 2.5 * MINUTE, 4003.0])
    fleet.connection.execute(exchange, [kind, START + 2.5 * MINUTE, 4001.5])
    assert fleet.send(kind, "Dregister", (3, 25000.0)) == ["stored"]


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_registers_that_contradict_each_other_the_one_that_comes_second_is_rejected(
    fleet: Fleet, kind: str
) -> None:
    fleet.limit(kind, 22)
    for device in ("Dorder", "Dlate"):
        fleet.declare(kind, device, energy_kind="register")
    assert fleet.send(kind, "Dorder", (1, 4000.0), (2, 25000.0), (2, 4000.5)) == [
        "stored",
        "implausible_energy",
        "stored",
    ]
    # a late one has its share of the energy of the next
    sent = [(2, 25000.0), (1, 4000.0), (1, 24999.5), (3, 25000.5), (2.5, 25000.0), (2.9, 24999.5)]
    outcomes = ["stored", "implausible_energy", "stored", "stored", "stored", "stored"]
    assert fleet.send(kind, "Dlate", *sent) == outcomes
    # a reset in the midst of a glitch would be a rise of 1,000 kWh
    fleet.declare(kind, "Dglitch", energy_kind="register")
    sent = [(0, 1000.0), (1, 0.0), (3, 1000.5), (2, 0.25), (2, 0.0)]
    assert fleet.send(kind, "Dglitch", *sent) == [*["stored"] * 3, "implausible_energy", "stored"]
    # a low level before a zero of a start: the reading after the zero tells
    fleet.declare(kind, "Dstart", energy_kind="register")
    sent = [(1, 0.0), (2, 1000.5), (0, 5.0), (0, 1000.0)]
    assert fleet.send(kind, "Dstart", *sent) == [*["stored"] * 2, "implausible_energy", "stored"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_for_imports_and_replays(fleet: Fleet, kind: str) -> None:
    fleet.limit(kind, 22)
    measures = {"meter": "230", "vehicle": "20"}[kind]
    with fleet.connection.transaction():
        fleet.connection.execute("SELECT api.make_import_table(%s)", [kind])
        names = fleet.connection.execute(f"SELECT * FROM pg_temp.import_{kind}_reading").description
        values = {"place": "n", f"{kind}_id": "'Dfile'", "recorded_at": "%s::timestamptz + n * INTERVAL '1 minute'"}
        values |= {"kwh_consumed_ac": "kwh", "kwh_delivered_dc": "kwh", "soc": "50"}
        columns = ", ".join(values.get(column.name, measures) for column in names)
        rows = "(VALUES (1, 0.5), (2, 9451)) AS r (n, kwh)"
        fleet.connection.execute(f"INSERT INTO pg_temp.import_{kind}_reading SELECT {columns} FROM {rows}", [START])
        query = f"SELECT outcome, readings, place FROM api.import_{kind}_readings(TRUE) ORDER BY outcome"
        found = fleet.connection.execute(query).fetchall()
    assert found == [("implausible_energy", 1, 2), ("stored", 1, None)]
    again = f"""
        SELECT i.outcome FROM (SELECT 'Dfile' AS d, %s::timestamptz AS t, 9451 AS kwh) AS r,
        LATERAL api.ingest_{kind}_readings(ARRAY[{INGEST[kind]}], FALSE) AS i
    """
    assert fleet.connection.execute(again, [START + 2 * MINUTE]).fetchall() == [("implausible_energy",)]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [("'gas', 22", "kind"), ("NULL, 22", "kind"), ("'meter', 0", "max_kw"), ("'meter', 'NaN'", "max_kw")],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(fleet: Fleet, arguments: str, word: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"{word} must be"):
        fleet.connection.execute(f"SELECT ops.set_default_max_kw({arguments})")
