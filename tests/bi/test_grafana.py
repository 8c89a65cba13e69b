"""The SQL of Grafana's dashboards (docs/monitoring/grafana), run by a member of energy_bi, its macros written out."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.bi.conftest import NOW, BiDatabase, at
from tests.monitoring.files import DASHBOARDS, Target, targets

BEGIN, END = at(10, "00:00"), NOW + timedelta(minutes=1)
VEHICLE = "V001"


@pytest.fixture
def reader(bi_database: BiDatabase) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(bi_database.url, autocommit=True, row_factory=dict_row) as connection:
        [rights] = connection.execute(
            "SELECT pg_has_role(current_user, 'energy_bi', 'MEMBER') AS bi, rolsuper FROM pg_roles "
            "WHERE rolname = current_user"
        ).fetchall()
        assert rights == {"bi": True, "rolsuper": False}
        yield connection


def written_out(query: str, *, vehicle: str = VEHICLE, meters: tuple[str, ...] = ("M001", "M101")) -> str:
    """As Grafana's PostgreSQL data source sends it, with TimescaleDB switched on."""
    query = re.sub(
        r"\$__timeFilter\((\w+)\)",
        rf"\1 BETWEEN '{BEGIN:%Y-%m-%dT%H:%M:%SZ}' AND '{END:%Y-%m-%dT%H:%M:%SZ}'",
        query,
    )
    values = {"vehicle": [vehicle], "meter": list(meters)}
    query = re.sub(
        r"\$\{(\w+):sqlstring\}",
        lambda found: ",".join("'" + value.replace("'", "''") + "'" for value in values[found[1]]),
        query,
    )
    assert "$" not in query, "a macro or variable that this test does not know"
    return query


SQL = list(targets("energy"))


@pytest.mark.parametrize("target", SQL, ids=lambda target: f"{target.dashboard}: {target.panel}")
def test_a_panels_query_answers_in_the_shape_that_grafana_takes(
    reader: psycopg.Connection[dict[str, Any]], target: Target
) -> None:
    rows = reader.execute(written_out(target.query)).fetchall()
    assert rows
    if target.format == "time_series":
        times = [row.pop("time") for row in rows]
        assert all(isinstance(time, datetime) for time in times)
        assert times == sorted(times)
        for row in rows:
            row.pop("metric", None)
            assert row
            assert all(value is None or isinstance(value, int | float) for value in row.values()), row
        assert any(value for row in rows for value in row.values())


def shown(
    reader: psycopg.Connection[dict[str, Any]], panel: str, dashboard: str = "fleet", **values: Any
) -> list[list[dict[str, Any]]]:
    """The rows of each query of a panel."""
    found = [target for target in SQL if (target.dashboard, target.panel) == (dashboard, panel)]
    assert found
    return [reader.execute(written_out(target.query, **values)).fetchall() for target in found]


def rows(
    reader: psycopg.Connection[dict[str, Any]], panel: str, dashboard: str = "fleet", **values: Any
) -> list[tuple[Any, ...]]:
    [answer] = shown(reader, panel, dashboard, **values)
    return [tuple(row.values()) for row in answer]


# what follows is worked out by hand from the readings in tests/bi/conftest.py, mostly those of two days ago


@pytest.mark.parametrize(
    ("panel", "bucket", "ac", "dc"),
    [
        # at 12: M001 8, M101 7, M003 and M004 10 each, M005 1.1, M102 1; V001 6, V003 and V004 8 each, V005 1
        ("Energy an hour", at(2, "12:00"), 37.1, 23),
        # and at other times: M001 10, M101 5, M002 8; V001 14.5, V002 7
        ("Energy a day", at(2, "00:00"), 60.1, 44.5),
        ("Readings an hour", at(2, "12:00"), 6, 4),
        ("Devices with readings, a day", at(2, "00:00"), 7, 5),
    ],
)
def test_the_fleet_shows_meters_beside_vehicles(
    reader: psycopg.Connection[dict[str, Any]], panel: str, bucket: datetime, ac: float, dc: float
) -> None:
    found = [value for side in shown(reader, panel) for time, value in map(dict.values, side) if time == bucket]
    assert found == pytest.approx([ac, dc])


def test_the_balance_of_the_range_is_that_of_vehicles_that_are_judged(
    reader: psycopg.Connection[dict[str, Any]],
) -> None:
    # days 9 to 2 and today, without M007's 3 kWh and V008's 1, beside which the other side has no readings, and without
    # the 0.5 kWh that M006 drew while V006 was idle
    ac = 2.2 + 10 + 10 + 20 + 30 + 11 + 28.3 + 47.1 + 1.1
    dc = 2 + 8 + 8 + 16 + 26 + 8.9 + 24.5 + 44.5 + 1
    assert rows(reader, "Balance of the range") == [pytest.approx((ac, dc, dc / ac))]


def test_the_fleet_shows_what_its_efficiency_was_and_of_how_many_vehicles_it_was_low(
    reader: psycopg.Connection[dict[str, Any]],
) -> None:
    efficiency = {row[0]: row[1:] for row in rows(reader, "Efficiency a day")}
    # the ratio, and the same as that of a normal, low or impossible day
    assert efficiency[at(4, "00:00")] == pytest.approx((0.8091, None, 0.8091, None))
    assert efficiency[at(3, "00:00")] == pytest.approx((0.8657, 0.8657, None, None))
    panel = {row[0]: row[1:] for row in rows(reader, "Vehicles by efficiency status, a day")}
    # normal, low, impossible, idle, unknown
    assert panel[at(6, "00:00")] == (0, 2, 0, 1, 0)
    assert panel[at(3, "00:00")] == (3, 1, 0, 0, 1)
    assert panel[at(2, "00:00")] == (2, 2, 1, 0, 0)


def test_the_worst_vehicles_come_first_over_the_days_that_are_judged(
    reader: psycopg.Connection[dict[str, Any]],
) -> None:
    # efficiency, low days, AC, DC, lost
    worst = {vehicle: figures for vehicle, *figures in rows(reader, "Lowest efficiency in the range")}
    assert list(worst)[:4] == ["V004", "V003", "V002", "V008"]
    assert list(worst)[-1] == "V001"
    assert len(worst) == 9
    assert worst["V004"] == pytest.approx([0.8, 4, 40, 32, 8])
    assert worst["V003"] == pytest.approx([53.5 / 65, 5, 65, 53.5, 11.5])
    assert worst["V002"] == pytest.approx([0.875, 0, 8, 7, 1])
    assert worst["V008"] == pytest.approx([0.9, 0, 1, 0.9, 0.1])
    assert worst["V001"] == pytest.approx([38.5 / 38, 0, 38, 38.5, -0.5])
    # without the 0.5 kWh of the day on which it was idle
    assert worst["V006"] == pytest.approx([1 / 1.1, 0, 1.1, 1, 0.1])
    assert rows(reader, "Distribution of efficiency in the range") == [
        ("80 %", 2),
        ("85 %", 1),
        ("90 %", 5),
        ("100 %", 1),
    ]


def test_a_vehicle_shows_its_hours_beside_those_of_the_meter_that_fed_it(
    reader: psycopg.Connection[dict[str, Any]],
) -> None:
    assert rows(reader, "Energy an hour", "vehicle") == [
        (at(5, "12:00"), 20, 18),
        (at(2, "11:00"), 10, 9),
        (at(2, "12:00"), 8, 6),
        (at(2, "13:00"), 5, 4.5),  # of M101, by its link
        (at(2, "14:00"), None, 1),
    ]
    # the ratio, and the same as that of a normal, low or impossible hour
    efficiency = [row[1:] for row in rows(reader, "Efficiency an hour", "vehicle")]
    normal, low, none = (0.9, 0.9, None, None), (0.75, None, 0.75, None), (None, None, None, None)
    assert efficiency == [pytest.approx(hour) for hour in (normal, normal, low, normal, none)]


def test_a_vehicle_shows_its_battery_and_the_mains(reader: psycopg.Connection[dict[str, Any]]) -> None:
    hot = {row[0]: row[1:] for row in rows(reader, "Battery temperature", "vehicle", vehicle="V005")}
    assert hot[at(3, "12:00")] == (47.5, 49.25, 51)
    charge = rows(reader, "State of charge", "vehicle", vehicle="V002")
    assert charge == [(at(2, "18:00"), 31), (at(2, "20:00"), 40)]
    mains = {row[:2]: row[2:] for row in rows(reader, "Voltage at its meters", "vehicle", meters=("M102", "M103"))}
    assert mains[at(3, "12:00"), "M102"] == pytest.approx((206, 230.1, 254.2))
    assert mains[at(3, "12:00"), "M103"] == pytest.approx((207, 230, 253))


def test_a_vehicle_shows_its_charging_sessions(reader: psycopg.Connection[dict[str, Any]]) -> None:
    found = [row[:4] for row in rows(reader, "Charging sessions", "vehicle")]
    assert found == [
        (at(2, "14:00"), at(2, "14:10"), None, pytest.approx(1)),
        # the interval of the first reading is not known; 18 kWh of M001 until 13:00, and then 5 of M101
        (at(2, "11:59"), at(2, "13:10"), pytest.approx(23), pytest.approx(19.5)),
        (at(5, "12:09"), at(5, "12:10"), pytest.approx(20), pytest.approx(18)),
    ]


def test_a_vehicles_sessions_have_their_cost_where_there_is_one(reader: psycopg.Connection[dict[str, Any]]) -> None:
    cost = [row[-3:] for row in rows(reader, "Charging sessions", "vehicle")]
    # 18 kWh in EUR and 5 in SEK are never added up; of the 20 there is no price
    assert cost == [(None, None, None), (None, None, pytest.approx(9.2)), (None, None, pytest.approx(8))]
    cost = [row[-3:] for row in rows(reader, "Charging sessions", "vehicle", vehicle="V002")]
    assert cost == [(None, None, None), (pytest.approx(2.4), "EUR", pytest.approx(3.2))]


def test_a_vehicle_shows_its_days_and_its_meters(reader: psycopg.Connection[dict[str, Any]]) -> None:
    # a day has the energy of the meter that fed the vehicle at its start
    assert [row[:6] for row in rows(reader, "Days", "vehicle")] == [
        (at(2, "00:00"), "M001", 18, 20.5, pytest.approx(1.1389), "impossible"),
        (at(5, "00:00"), "M001", 20, 18, pytest.approx(0.9), "normal"),
    ]
    assert rows(reader, "Its meters", "vehicle") == [
        ("M001", None, at(2, "13:00"), "default"),
        ("M101", at(2, "13:00"), None, "link"),
    ]


@pytest.mark.parametrize("name", ["fleet", "vehicle"])
def test_no_dashboard_repeats_a_threshold_of_an_efficiency(name: str) -> None:
    assert not re.search(r"0\.85|\b85\b|1\.0001", json.dumps(DASHBOARDS[name]))


@pytest.mark.parametrize("target", SQL, ids=lambda target: f"{target.dashboard}: {target.panel}")
def test_the_range_of_the_panel_bounds_what_is_read(target: Target) -> None:
    assert ("$__timeFilter(bucket)" in target.query) == ("bucket" in target.query)
    assert "_15min" not in target.query  # a month of hours is few rows


def test_a_quote_in_the_name_of_a_vehicle_is_part_of_the_name(reader: psycopg.Connection[dict[str, Any]]) -> None:
    for panel in ("Energy an hour", "Battery temperature", "Its meters", "Days"):
        assert rows(reader, panel, "vehicle", vehicle="' OR TRUE --") == []


@pytest.mark.parametrize("name", ["vehicle", "meter"])
def test_a_variable_offers_what_there_is(reader: psycopg.Connection[dict[str, Any]], name: str) -> None:
    [variable] = [v for v in DASHBOARDS["vehicle"]["templating"]["list"] if v["name"] == name]
    offered = [next(iter(row.values())) for row in reader.execute(written_out(variable["query"])).fetchall()]
    assert offered == {"vehicle": [f"V00{n}" for n in range(1, 10)], "meter": ["M001", "M101"]}[name]
