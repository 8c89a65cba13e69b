"""A fleet whose readings and evaluations of alerts are those of a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support import NOW, TestDatabase

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
SETTLED = timedelta(minutes=3)
"""Past the end of a quarter hour, it is judged."""
START = NOW.replace(minute=0) - 14 * HOUR
"""The readings of a test begin here."""

INGEST = {
    "meter": "SELECT api.ingest_meter_readings(array_agg((%(id)s, t, %(kwh)s, %(measure)s, NULL)::api.meter_reading))",
    "vehicle": "SELECT api.ingest_vehicle_readings(array_agg("
    "(%(id)s, t, 50, %(kwh)s, %(measure)s, NULL)::api.vehicle_reading))",
}


@dataclass(frozen=True)
class Phase:
    """Readings for a time: energies of a reading in kWh, volts, degrees, and the time between two readings."""

    hours: float
    ac: float = 0.1
    dc: float = 0.095
    volts: float | None = 230
    degrees: float | None = 30
    every: timedelta = MINUTE


class AlertFleet:
    """A fleet in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def run(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(query, arguments or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def rule(self, name: str, **settings: Any) -> None:
        """Set a rule; it judges all times."""
        named = "".join(f", p_{setting} => %({setting})s" for setting in settings)
        query = f"SELECT ops.set_alert_rule(%(name)s{named})"
        self.connection.execute(query, {"name": name, **settings})  # type: ignore[arg-type]
        self.run("UPDATE ops.alert_rule SET judged_from = '-infinity'")

    def only(self, name: str, **settings: Any) -> None:
        """Set a rule, and disable all others."""
        self.rule(name, **settings)
        self.run("UPDATE ops.alert_rule SET enabled = (name = %s)", name)

    def declare(self, kind: str, device: str, seconds: float = 60, *, retired: bool = False) -> None:
        """Declare the interval of a device."""
        query = "SELECT api.set_device_profile(%s, %s, p_expected_interval_s => %s, p_retired => %s)"
        self.run(query, kind, device, seconds, retired)

    def drive(self, name: str, *phases: Phase, kinds: str = "meter vehicle") -> None:
        """Store the readings of vehicle V<name> and its meter M<name>, phase after phase from START."""
        began = START
        for phase in phases:
            end = began + phase.hours * HOUR
            for kind in kinds.split():
                values = {"meter": (phase.ac, phase.volts), "vehicle": (phase.dc, phase.degrees)}[kind]
                self.send(kind, f"{kind[0].upper()}{name}", began + phase.every, end, phase.every, *values)
            began = end

    def send(
        self, kind: str, device: str, first: Any, last: Any, every: timedelta, kwh: float, measure: float | None
    ) -> None:
        """Store readings from first to last."""
        query = f"{INGEST[kind]} FROM generate_series(%(first)s::timestamptz, %(last)s, %(every)s) AS t"
        values = {"id": device, "first": first, "last": last, "every": every, "kwh": kwh, "measure": measure}
        self.connection.execute(query, values)  # type: ignore[arg-type]

    def send_at(self, kind: str, device: str, times: list[datetime], kwh: float, measure: float | None) -> None:
        """Store a reading for each time."""
        query = f"{INGEST[kind]} FROM unnest(%(times)s::timestamptz[]) AS t"
        self.connection.execute(query, {"id": device, "times": times, "kwh": kwh, "measure": measure})  # type: ignore[arg-type]

    def evaluate(self, at: Any) -> None:
        self.run("SELECT ops.evaluate_alerts(%s)", at)

    def evaluate_live(self, hours: float) -> None:
        """Evaluate quarter hour by quarter hour from START on, with nothing late."""
        self.run("DELETE FROM telemetry.alert_recheck")
        self.run("UPDATE telemetry.fleet SET alerts_judged_until = %s", START)
        for quarter in range(1, int(hours * 4) + 1):
            self.evaluate(START + quarter * QUARTER + SETTLED)

    def evaluate_late(self, hours: float) -> None:
        """Evaluate once, as all readings came late."""
        self.run("UPDATE telemetry.fleet SET alerts_judged_until = %s", START + hours * HOUR)
        self.evaluate(START + hours * HOUR + SETTLED)

    def alerts(self, *, disproved: bool = False) -> list[dict[str, Any]]:
        """All alerts but the disproved ones, with times in hours since START."""
        rows = self.run("SELECT * FROM telemetry.alert ORDER BY opened_at, device_id, rule_name")
        for row in rows:
            for time in ("opened_at", "last_seen_at", "closed_at"):
                row[time] = row[time] and (row[time] - START) / HOUR
        return [row for row in rows if disproved or row["close_reason"] != "disproved by later data"]

    def times(self, **options: Any) -> list[tuple[str, float, float, float | None]]:
        """(device, opened, last seen, closed) of `alerts`."""
        return [(a["device_id"], a["opened_at"], a["last_seen_at"], a["closed_at"]) for a in self.alerts(**options)]


@contextlib.contextmanager
def alert_fleet(database: TestDatabase) -> Iterator[AlertFleet]:
    """A fleet that leaves nothing."""
    with psycopg.connect(database.url, autocommit=False) as connection:
        connection.execute("RESET ROLE; SET search_path = public; SET LOCAL TimeZone = 'UTC'; SET LOCAL jit = off")
        yield AlertFleet(connection)
        connection.rollback()
