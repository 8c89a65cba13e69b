"""Readings in any order of arrival end in the alerts that they define, whatever was judged on the way."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import alerts as oracle
from tests.support import TestDatabase, run_migrated_database
from tests.support.alerts import HOUR, QUARTER, START, AlertFleet, alert_fleet

EXAMPLES = int(os.environ.get("PROOF_EXAMPLES", "6"))
INTERVAL = timedelta(minutes=5)
NAMES = ("X", "Y")
RULES = {
    "efficiency_low": oracle.Rule(Fraction("0.85"), HOUR, QUARTER, 2 * QUARTER, least=Fraction(1)),
    "battery_hot": oracle.Rule(Fraction(50), QUARTER, QUARTER, 2 * QUARTER),
    "voltage_outside": oracle.Rule(Fraction(207), 2 * QUARTER, timedelta(0), QUARTER, upper=Fraction(253)),
    "device_silent": oracle.Rule(Fraction(5), timedelta(0), timedelta(minutes=10), timedelta(0)),
}
AC, VOLTS = Fraction("0.5"), (Fraction(230), Fraction("199.5"), Fraction(260))
DC, DEGREES = (Fraction("0.475"), Fraction("0.425"), Fraction("0.42"), Fraction("0.2")), (Fraction(30), Fraction(70))

Fleet = dict[str, dict[datetime, oracle.Sample]]
"""Device -> its readings."""


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Two vehicles and their meters over a few hours, in phases that may be faulty, thin or missing."""
    found: Fleet = {}
    for name in NAMES:
        for device, kwh, measures in ((f"M{name}", (AC,), VOLTS), (f"V{name}", DC, DEGREES)):
            samples: dict[datetime, oracle.Sample] = {}
            at = START
            for _ in range(draw(st.integers(1, 5))):
                energy, measure = draw(st.sampled_from(kwh)), draw(st.sampled_from(measures))
                share = draw(st.sampled_from([1, 1, 1, 2, 0]))
                for number in range(draw(st.integers(1, 24))):
                    at += INTERVAL
                    if share and number % share == 0:
                        samples[at] = oracle.Sample(energy, measure)
            found[device] = samples
    return found


def expected(fleet: Fleet, end: datetime, now: datetime) -> set[tuple[str, str, datetime, datetime | None]]:
    found = set()
    for name in NAMES:
        ac, dc = fleet[f"M{name}"], fleet[f"V{name}"]
        judges = {
            "efficiency_low": (f"V{name}", lambda q, r, ac=ac, dc=dc: oracle.judge_efficiency(ac, dc, q, r, INTERVAL)),
            "battery_hot": (f"V{name}", lambda q, r, dc=dc: oracle.judge_mean(dc, q, r, INTERVAL)),
            "voltage_outside": (f"M{name}", lambda q, r, ac=ac: oracle.judge_mean(ac, q, r, INTERVAL)),
        }
        for kind, (device, judge) in judges.items():
            rule = RULES[kind]
            for span in oracle.spans(lambda q, judge=judge, rule=rule: judge(q, rule), START, end, rule):
                found.add((kind, device, span.opened, span.closed))
        for device in (f"M{name}", f"V{name}"):
            for span in oracle.silences(list(fleet[device]), now, RULES["device_silent"], INTERVAL):
                found.add(("device_silent", device, span.opened, span.closed))
    return found


def store(fleet: AlertFleet, readings: list[tuple[str, datetime, oracle.Sample]]) -> None:
    for kind, values in (("meter", "r.k, r.m"), ("vehicle", "50, r.k, r.m")):
        rows = [(d, t.isoformat(), float(s.kwh), float(s.measure)) for d, t, s in readings if d[0] == kind[0].upper()]
        if rows:
            fleet.run(
                f"SELECT count(*) FROM api.ingest_{kind}_readings(ARRAY(SELECT (r.d, r.t, {values}, NULL)"
                f"::api.{kind}_reading FROM (SELECT e ->> 0 AS d, (e ->> 1)::timestamptz AS t, (e ->> 2)::float8 AS k, "
                "(e ->> 3)::float8 AS m FROM json_array_elements(%s::json) AS e) AS r))",
                json.dumps(rows),
            )


def stored(fleet: AlertFleet) -> set[tuple[str, str, datetime, datetime | None]]:
    rows: list[dict[str, Any]] = fleet.run(
        "SELECT rule_kind, device_id, opened_at, closed_at FROM telemetry.alert"
        " WHERE close_reason IS DISTINCT FROM 'disproved by later data'"
    )
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    return {(r["rule_kind"], r["device_id"], r["opened_at"], r["closed_at"]) for r in rows}


@pytest.fixture(scope="module")
def database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as another:
        yield another


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=fleets(), batches=st.integers(1, 4), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_in_the_alerts_of_the_data(
    database: TestDatabase, drawn: Fleet, batches: int, order: random.Random
) -> None:
    readings = [(device, time, sample) for device, samples in drawn.items() for time, sample in samples.items()]
    order.shuffle(readings)
    last = max([time for _, time, _ in readings], default=START)
    end = START + ((last - START) // QUARTER + 1) * QUARTER
    now = end + timedelta(minutes=3)
    with alert_fleet(database) as fleet:
        fleet.run("UPDATE ops.alert_rule SET enabled = name = ANY (%s)", list(RULES))
        for kind, rule in RULES.items():
            window = {} if kind == "device_silent" else {"window_length": rule.window}
            after = {"open_after": rule.open_after, "close_after": rule.close_after}
            fleet.rule(kind, threshold=float(rule.threshold), least=float(rule.least), **window, **after)
        for name in NAMES:
            for kind in ("meter", "vehicle"):
                fleet.declare(kind, f"{kind[0].upper()}{name}", INTERVAL.total_seconds())
        for number in range(batches):
            store(fleet, readings[number::batches])
            fleet.evaluate(now)
        assert stored(fleet) == expected(drawn, end, now)


INCOMPLETE = oracle.Rule(Fraction("0.9"), 2 * HOUR, QUARTER, 2 * QUARTER, least=Fraction(1))


@st.composite
def undeclared_times(draw: st.DrawFn) -> list[datetime]:
    """The readings of a device over some hours, in phases of an interval, with jitter and losses."""
    found: list[datetime] = []
    at = START
    for _ in range(draw(st.integers(1, 4))):
        seconds, jitter = draw(st.sampled_from([30, 60, 300, 600, 1200])), draw(st.sampled_from([0, 0, 7]))
        lost = draw(st.sampled_from([0, 0, 0, 2, 3, 4, 10]))
        for number in range(draw(st.integers(1, 3 * 3600 // seconds))):
            at += timedelta(seconds=seconds)
            if number % 10 >= lost if lost > 3 else not lost or number % lost:
                found.append(at + timedelta(seconds=draw(st.integers(0, jitter)) if jitter else 0))
    return found


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(times=undeclared_times(), batches=st.integers(1, 3), order=st.randoms(use_true_random=False))
def test_a_device_without_a_declared_interval_is_incomplete_by_its_own_times(
    database: TestDatabase, times: list[datetime], batches: int, order: random.Random
) -> None:
    readings = [("MX", time, oracle.Sample(AC, VOLTS[0])) for time in times]
    order.shuffle(readings)
    end = START + ((max(times, default=START) - START) // QUARTER + 1) * QUARTER
    with alert_fleet(database) as fleet:
        fleet.only(
            "data_incomplete",
            threshold=float(INCOMPLETE.threshold),
            window_length=INCOMPLETE.window,
            open_after=INCOMPLETE.open_after,
            close_after=INCOMPLETE.close_after,
        )
        for number in range(batches):
            store(fleet, readings[number::batches])
            fleet.evaluate(end + timedelta(minutes=3))
        found = {(opened, closed) for _, _, opened, closed in stored(fleet)}
    spans = oracle.spans(lambda q: oracle.judge_completeness(times, q, INCOMPLETE), START, end, INCOMPLETE)
    assert found == {(span.opened, span.closed) for span in spans}
