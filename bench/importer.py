"""`energy import` beside a plain COPY: `python -m bench.importer SERVER_URL [ROWS]`, in a database made for it.

The same CSV file goes by COPY into a hypertable with the columns, primary key and chunks of the history, and by
`energy import` into the history itself, three times each in turn; the medians are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from service.migrate import migrate
from tests.support import fresh_database

RUNS = 3
PLAIN = """
DROP TABLE IF EXISTS public.plain;
CREATE TABLE public.plain (LIKE telemetry.meter_telemetry_history INCLUDING ALL);
SELECT create_hypertable('public.plain', by_range('recorded_at', INTERVAL '1 day'), create_default_indexes => FALSE);
"""


def make_file(path: Path, meters: int, rows: int) -> None:
    """A reading a minute of each meter, in the order of time."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=100)
    with path.open("w") as file:
        file.write("meter_id,recorded_at,kwh_consumed_ac,voltage\n")
        for number in range(rows):
            minute, meter = divmod(number, meters)
            time_ = start + timedelta(minutes=minute)
            file.write(f"M{meter:05d},{time_.isoformat()},{number % 977 / 1000},{230 + number % 100 / 10}\n")


def plain_copy(connection: psycopg.Connection, path: Path) -> float:
    connection.execute(PLAIN)
    connection.execute("CHECKPOINT")
    began = time.monotonic()
    columns = "meter_id, recorded_at, kwh_consumed_ac, voltage"
    with (
        path.open("rb") as file,
        connection.cursor().copy(f"COPY public.plain ({columns}) FROM STDIN (FORMAT csv, HEADER)") as copy,
    ):
        while block := file.read(1 << 18):
            copy.write(block)
    return time.monotonic() - began


def energy_import(connection: psycopg.Connection, path: Path, url: str) -> float:
    connection.execute("TRUNCATE telemetry.meter_telemetry_history, telemetry.meter_current_status")
    connection.execute("CHECKPOINT")
    command = [sys.executable, "-m", "service.cli", "import", path]
    done = subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=True)
    print(f"    {done.stdout.strip()}")
    return float(done.stdout.split("; ")[1].split(" s")[0])


def main(server: str, rows: int = 1_000_000) -> None:
    with fresh_database(server) as url, tempfile.TemporaryDirectory() as folder:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for meters in (10_000, 100):
                path = Path(folder) / f"{meters}.csv"
                make_file(path, meters, rows)
                pairs = [(plain_copy(connection, path), energy_import(connection, path, url)) for _ in range(RUNS)]
                copied, imported = (statistics.median(column) for column in zip(*pairs, strict=True))
                print(
                    f"{meters} meters, {rows} rows: COPY {rows / copied:,.0f} rows/s, "
                    f"energy import {rows / imported:,.0f} rows/s, ratio {copied / imported:.2f}"
                )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
