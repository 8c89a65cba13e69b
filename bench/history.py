"""History to read from, as the ingest functions store it, but written straight into the tables.

Values are as noisy as a fleet's and rounded as devices round them; every device has its own second of the minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

DAY = timedelta(days=1)
AGGREGATES = ("bi.meter_15min", "bi.vehicle_15min", "bi.meter_hourly", "bi.vehicle_hourly")

# a vehicle charges for four hours a day, from an hour of its own, at 11 kW
_READINGS = """
    FROM (
        SELECT n AS number, 'M' || lpad(n::text, 6, '0') AS meter_id, 'V' || lpad(n::text, 6, '0') AS vehicle_id
        FROM generate_series(0, %(vehicles)s - 1) AS n
        OFFSET 0
    ) AS v
    CROSS JOIN generate_series(
        %(start)s::timestamptz, %(end)s::timestamptz - INTERVAL '1 minute', INTERVAL '1 minute'
    ) AS m (minute)
    CROSS JOIN LATERAL (SELECT m.minute + v.number %% 60 * INTERVAL '1 second') AS t (recorded_at)
    CROSS JOIN LATERAL (
        SELECT (extract(epoch FROM t.recorded_at)::bigint + v.number * 97) %% 86400 < 14400 AS charging
    ) AS s
"""
FILL = {  # the tables, and what to put in
    "meter": f"""
        INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage, received_at)
        SELECT
            v.meter_id, t.recorded_at,
            CASE WHEN s.charging THEN round(19800 + random() * 400) / 100000 ELSE 0.00005 END,
            round(2290 + random() * 40) / 10, t.recorded_at + random() * INTERVAL '0.2 s'
        {_READINGS}
    """,
    "vehicle": f"""
        INSERT INTO telemetry.vehicle_telemetry_history (
            vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, received_at
        )
        SELECT
            v.vehicle_id, t.recorded_at, round(600 + 200 * sin(extract(epoch FROM t.recorded_at)::float8 / 13751)) / 10,
            CASE WHEN s.charging THEN round(18000 + random() * 300) / 100000 ELSE 0 END,
            round(240 + 60 * random()) / 10, t.recorded_at + random() * INTERVAL '0.2 s'
        {_READINGS}
    """,  # noqa: S608
}
STATUS = {
    "meter": """
        INSERT INTO telemetry.meter_current_status (meter_id, recorded_at, kwh_consumed_ac, voltage, received_at)
        SELECT 'M' || lpad(n::text, 6, '0'), now(), 0, 230, now() FROM generate_series(0, %s - 1) AS n
        ON CONFLICT DO NOTHING
    """,
    "vehicle": """
        INSERT INTO telemetry.vehicle_current_status (
            vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, received_at
        )
        SELECT 'V' || lpad(n::text, 6, '0'), now(), 60, 0, 25, now() FROM generate_series(0, %s - 1) AS n
        ON CONFLICT DO NOTHING
    """,
}


class History:
    """The history of `vehicles` vehicles and as many meters, written through `connection`.

    Its jobs do not run by themselves, so that they run while they are measured and at no other time.
    """

    def __init__(self, vehicles: int, connection: psycopg.Connection) -> None:
        self.vehicles = vehicles
        self.connection = connection
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        for statement in STATUS.values():
            connection.execute(statement, [vehicles])

    def fill(self, start: datetime, end: datetime) -> None:
        """A reading a minute of each device in [start, end), day by day."""
        for first, last in _days(start, end):
            for statement in FILL.values():
                self.connection.execute(statement, {"vehicles": self.vehicles, "start": first, "end": last})

    def refresh(self, start: datetime, end: datetime) -> None:
        """All aggregates, day by day, as far as buckets are over."""
        for first, last in _days(start, end):
            for aggregate in AGGREGATES:
                self.connection.execute(f"CALL refresh_continuous_aggregate('{aggregate}', %s, %s)", (first, last))
        now = datetime.now(UTC)
        # the offsets count from when the procedure runs
        config = f'{{"start_offset": "{now - start + timedelta(hours=1)}", "end_offset": "{now - end}"}}'
        self.connection.execute("CALL ops.refresh_daily(NULL, %s)", [config])

    def compress(self, older_than: timedelta) -> None:
        """Chunks that are over by then."""
        for stream in FILL:
            self.connection.execute(
                "SELECT compress_chunk(c) FROM show_chunks(%s::regclass, older_than => %s) AS c",
                (f"telemetry.{stream}_telemetry_history", older_than),
            )

    def settle(self) -> None:
        """What autovacuum and the checkpointer would do in their time."""
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")


def this_minute() -> datetime:
    """Now, to the minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def _days(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """[start, end) cut at midnight UTC."""
    cuts = [start]
    while (cut := cuts[-1].replace(hour=0, minute=0) + DAY) < end:
        cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], end], strict=True))
