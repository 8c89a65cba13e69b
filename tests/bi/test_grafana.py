"""The SQL of Grafana's dashboards (docs/monitoring/grafana), run by a member of energy_bi, its macros written out."""

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


def answer(reader: psycopg.Connection[dict[str, Any]], panel: str, **values: Any) -> list[dict[str, Any]]:
    return [
        row
        for target in SQL
        if target.panel == panel
        for row in reader.execute(written_out(target.query, **values)).fetchall()
    ]


def test_a_vehicle_shows_its_days_and_its_meters(reader: psycopg.Connection[dict[str, Any]]) -> None:
    # tests/bi/conftest.py: a day has the energy of the meter that fed the vehicle at its start, here M001: 10 and 8 kWh
    days = {row["Day"]: row for row in answer(reader, "Days")}
    two_days_ago = days[at(2, "00:00")]
    assert (two_days_ago["AC consumed"], two_days_ago["DC delivered"]) == pytest.approx((18, 20.5))
    assert two_days_ago["Status"] == "impossible"
    assert list(days) == sorted(days, reverse=True)
    assert [(row["Meter"], row["Because"]) for row in answer(reader, "Its meters")] == [
        ("M001", "default"),
        ("M101", "link"),
    ]


def test_the_worst_come_first_and_the_distribution_counts_each_vehicle_once(
    reader: psycopg.Connection[dict[str, Any]],
) -> None:
    worst = answer(reader, "Lowest efficiency in the range")
    ratios = [row["Efficiency"] for row in worst]
    assert ratios == sorted(ratios)
    four = next(row for row in worst if row["Vehicle"] == "V004")
    assert (four["AC consumed"], four["DC delivered"], four["Lost"]) == pytest.approx((40, 32, 8))
    assert four["Efficiency"] == pytest.approx(0.8)
    distribution = answer(reader, "Distribution of efficiency in the range")
    assert sum(row["Vehicles"] for row in distribution) == len(worst)
    assert {row["From"] for row in distribution} >= {"80 %", "90 %"}


def test_a_quote_in_the_name_of_a_vehicle_is_part_of_the_name(reader: psycopg.Connection[dict[str, Any]]) -> None:
    assert answer(reader, "Energy an hour", vehicle="' OR TRUE --")[0]["AC consumed"] is not None  # the fleet's panel
    assert answer(reader, "Battery temperature", vehicle="' OR TRUE --") == []


@pytest.mark.parametrize("name", ["vehicle", "meter"])
def test_a_variable_offers_what_there_is(reader: psycopg.Connection[dict[str, Any]], name: str) -> None:
    [variable] = [v for v in DASHBOARDS["vehicle"]["templating"]["list"] if v["name"] == name]
    offered = [next(iter(row.values())) for row in reader.execute(written_out(variable["query"])).fetchall()]
    assert offered == sorted(offered)
    assert {"vehicle": {"V001", "V009"}, "meter": {"M001", "M101"}}[name] <= set(offered)
