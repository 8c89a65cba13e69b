"""History for benchmarks, as the ingest functions store it, but written straight into the tables.

Values are as noisy and rounded as those of a fleet. Every device has its own second of the minute. Rows are in the
order of time, as live ones are, because the cost of a refresh depends on it.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.stage import rest_jobs

DAY = timedelta(days=1)

# a vehicle charges for four hours a day, from an hour of its own, at 11 kW
_READINGS = """
    FROM generate_series(
        %(start)s::timestamptz, %(end)s::timestamptz - INTERVAL '1 minute', INTERVAL '1 minute'
    ) AS m (minute)
    CROSS JOIN LATERAL (
        SELECT
            n AS number, 'M' || lpad(n::text, 6, '0') AS meter_id, 'V' || lpad(n::text, 6, '0') AS vehicle_id,
            m.minute + (n %% 60 + 1) * INTERVAL '1 second' AS recorded_at
        FROM generate_series(0, %(vehicles)s - 1) AS n
        OFFSET 0
    ) AS v
    CROSS JOIN LATERAL (
        SELECT (extract(epoch FROM v.recorded_at)::bigint + v.number * 97) %% 86400 < 14400 AS charging
    ) AS s
"""
FILL = {  # tables and their rows
    "meter": f"""
        INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage, received_at)
        SELECT
            v.meter_id, telemetry.counted_at(v.recorded_at),
            CASE WHEN s.charging THEN round(19800 + random() * 400) / 100000 ELSE 0.00005 END,
            round(2290 + random() * 40) / 10, date_trunc('second', v.recorded_at + random() * INTERVAL '0.2 s')
        {_READINGS}
    """,
    "vehicle": f"""
        INSERT INTO telemetry.vehicle_telemetry_history (
            vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp, received_at
        )
        SELECT
            v.vehicle_id, telemetry.counted_at(v.recorded_at),
            round(600 + 200 * sin(extract(epoch FROM v.recorded_at)::float8 / 13751)) / 10,
            CASE WHEN s.charging THEN round(18000 + random() * 300) / 100000 ELSE 0 END,
            round(240 + 60 * random()) / 10, date_trunc('second', v.recorded_at + random() * INTERVAL '0.2 s')
        {_READINGS}
    """,  # noqa: S608
}
STATUS = {
    "meter": """
        INSERT INTO telemetry.meter_current_status (
            meter_id, recorded_at, kwh_consumed_ac, voltage, received_at, observed_interval
        )
        SELECT 'M' || lpad(n::text, 6, '0'), now(), 0, 230, now(), INTERVAL '1 minute'
        FROM generate_series(0, %s - 1) AS n
        ON CONFLICT DO NOTHING
    """,
    "vehicle": """
        INSERT INTO telemetry.vehicle_current_status (
            vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, received_at, observed_interval
        )
        SELECT 'V' || lpad(n::text, 6, '0'), now(), 60, 0, 25, now(), INTERVAL '1 minute'
        FROM generate_series(0, %s - 1) AS n
        ON CONFLICT DO NOTHING
    """,
}


class History:
    """The history of `vehicles` vehicles and as many meters, written through `connection`.

    Its jobs run only when a measurement calls them.
    """

    def __init__(self, vehicles: int, connection: psycopg.Connection) -> None:
        self.vehicles = vehicles
        self.connection = connection
        rest_jobs(connection)
        # as sessions of energy_owner, the owner of these jobs
        connection.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        for statement in STATUS.values():
            connection.execute(statement, [vehicles])

    def fill(self, start: datetime, end: datetime) -> None:
        """Store a reading a minute of each device in (start, end], day by day."""
        for first, last in _days(start, end):
            for statement in FILL.values():
                self.connection.execute(statement, {"vehicles": self.vehicles, "start": first, "end": last})

    def refresh(self) -> float:
        """Refresh everything that is due, as the jobs do, in as many runs as needed; return the seconds."""
        began = time.perf_counter()
        for kind in FILL:
            before = self._finished(kind)
            while self._finished(kind) == before:
                self.connection.execute("CALL ops.refresh_aggregates(NULL, %s)", [json.dumps({"kind": kind})])
        return time.perf_counter() - began

    def _finished(self, kind: str) -> Any:
        """Return the time of the last run that left nothing."""
        query = "SELECT finished_at FROM telemetry.refresh_state WHERE kind = %s"
        return self.connection.execute(query, [kind]).fetchone()

    def compress(self, older_than: timedelta) -> None:
        """Compress the chunks that are over by then."""
        for kind in FILL:
            self.connection.execute(
                "SELECT compress_chunk(c) FROM show_chunks(%s::regclass, older_than => %s) AS c",
                (f"telemetry.{kind}_telemetry_history", older_than),
            )

    def settle(self) -> None:
        """Do the work of autovacuum and the checkpointer."""
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")


def this_minute() -> datetime:
    """Return now, to the minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def _days(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Cut [start, end) at midnight UTC."""
    cuts = [start]
    while (cut := cuts[-1].replace(hour=0, minute=0) + DAY) < end:
        cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], end], strict=True))
