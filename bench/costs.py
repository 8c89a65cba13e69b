"""Benchmark of a month of cost and CO2, beside the month's energy that it is made of."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg

from bench.history import DAY, this_minute
from bench.report import Row
from bench.stage import Stage
from service.database.calls import REFRESH_AGGREGATES

VEHICLES = 1_000
EMBEDDED_VEHICLES = 20
DAYS = 30
QUARTER = timedelta(minutes=15)
FILL = """
    INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage)
    SELECT 'M' || d.n, telemetry.counted_at(t.stamp), 0.25 + d.n / 1e4, 230
    FROM generate_series(%s::timestamptz, %s::timestamptz, INTERVAL '15 minutes') AS t (stamp)
    CROSS JOIN generate_series(1, %s) AS d (n)
"""
STATUS = """
    INSERT INTO telemetry.{kind}_current_status ({kind}_id, recorded_at, received_at, {columns})
    SELECT %s || d.n, now(), now(), {values} FROM generate_series(1, %s) AS d (n)
"""
COLUMNS = {
    "meter": ("kwh_consumed_ac, voltage", "0, 230"),
    "vehicle": ("soc, kwh_delivered_dc, battery_temp", "50, 0, 20"),
}
ENERGY = "SELECT count(*), sum(kwh_consumed_ac) FROM bi.meter_15min WHERE bucket >= %s AND bucket < %s"
MONTH = "SELECT count(*), sum(cost) FROM bi.vehicle_cost_daily WHERE bucket >= %s AND bucket < %s"
ONE = MONTH + " AND vehicle_id = 'V7'"
FLEET = MONTH.replace("vehicle_cost_daily", "fleet_cost_daily")
LENGTHS = {"flat": None, "of the hour": timedelta(hours=1), "of the quarter hour": QUARTER}


def measure(stage: Stage) -> list[Row]:
    """Measure a month of the fleet and of one vehicle, for a flat price and for prices that change."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    end = this_minute().replace(hour=0, minute=0)
    start = end - DAYS * DAY
    with stage.connection() as connection:
        connection.execute("SELECT public.alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        connection.execute(FILL, (start + QUARTER, end, vehicles))
        for kind, (columns, values) in COLUMNS.items():
            prefix = kind[0].upper()
            connection.execute(STATUS.format(kind=kind, columns=columns, values=values), (prefix, vehicles))
        connection.execute(REFRESH_AGGREGATES[0])
        connection.execute("ANALYZE")
        connection.execute("SELECT ops.set_grid_intensity(350)")
        energy = _seconds(connection, ENERGY, start, end)
        rows = [Row(f"AC energy of {vehicles} meters, 30 days of quarter hours", {"s": energy})]
        for name, length in LENGTHS.items():
            _set_prices(connection, start, end, length)
            month, one, fleet = (_seconds(connection, query, start, end) for query in (MONTH, ONE, FLEET))
            figures = {
                "s": month,
                "times the energy": month / energy,
                "ms for one vehicle": one * 1000,
                "s of the fleet as one": fleet,
            }
            rows.append(Row(f"cost of {vehicles} vehicles, 30 days, price {name}", figures))
    return rows


def _set_prices(connection: psycopg.Connection[Any], start: Any, end: Any, length: timedelta | None) -> None:
    connection.execute("TRUNCATE ops.price")
    price = "SELECT ops.set_price(%s, 'EUR', 'default', s.start, s.start + %s) "
    price += "FROM generate_series(%s, %s, %s) AS s (start)"
    if length is None:
        connection.execute("SELECT ops.set_price(0.3, 'EUR')")
    else:
        connection.execute(price, (Decimal("0.3"), length, start, end - length, length))
    connection.execute("ANALYZE ops.price")


def _seconds(connection: psycopg.Connection[Any], query: str, *values: Any) -> float:
    began = time.perf_counter()
    row = connection.execute(query, values).fetchone()
    if not row or not row[0]:
        raise ValueError("nothing was counted")
    return time.perf_counter() - began
