"""The refresh while everything else goes on: arrivals, other refreshes, killed runs, real background workers."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.database.calls import REFRESH_AGGREGATES
from tests.support import TestDatabase, run_migrated_database

pytestmark = [pytest.mark.concurrent, pytest.mark.timeout(300)]

MINUTE = timedelta(minutes=1)
DEVICES = 40
ENERGY = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}
SURFACES = [(kind, resolution) for kind in ENERGY for resolution in ("15min", "hourly", "daily")]
WIDTHS = {"15min": "15 minutes", "hourly": "1 hour", "daily": "1 day"}

# what the view shows beside what the history holds, of every device and bucket that is not declared stale
DIFFERENCES = """
    SELECT coalesce(a.bucket, h.bucket), coalesce(a.device, h.device), a.readings, h.readings
    FROM (SELECT {kind}_id AS device, bucket, readings, {energy} AS kwh FROM bi.{kind}_{resolution}) AS a
    FULL JOIN (
        SELECT {kind}_id AS device, public.time_bucket('{width}', counted_at) AS bucket, count(*) AS readings,
            sum({energy}) AS kwh
        FROM telemetry.{kind}_telemetry_history
        GROUP BY 1, 2
    ) AS h ON a.device = h.device AND a.bucket = h.bucket
    WHERE (a.readings IS DISTINCT FROM h.readings OR abs(a.kwh - h.kwh) > 1e-9)
    AND NOT EXISTS (
        SELECT FROM bi.stale_range AS s
        WHERE s.aggregate = 'bi.{kind}_{resolution}'
        AND coalesce(a.bucket, h.bucket) >= s.range_start AND coalesce(a.bucket, h.bucket) < s.range_end
    )
"""


@pytest.fixture
def url(test_database: TestDatabase) -> Iterator[str]:
    with run_migrated_database(test_database) as another:
        yield another.url


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True)


def pause_jobs(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")


def store(connection: psycopg.Connection[Any], start: datetime, minutes: int) -> None:
    """A reading of each device at the end of each minute, in one call a kind and minute."""
    for minute in range(minutes):
        send(connection, start + (minute + 1) * MINUTE, range(DEVICES))


def send(connection: psycopg.Connection[Any], time_: datetime, numbers: Any) -> None:
    ids = list(numbers)
    connection.execute(
        "SELECT api.ingest_meter_readings(array_agg(ROW('M' || n, %s, 1, 230, NULL)::api.meter_reading)) "
        "FROM unnest(%s::int[]) AS n",
        [time_, ids],
    )
    connection.execute(
        "SELECT api.ingest_vehicle_readings(array_agg(ROW('V' || n, %s, 50, 0.9, 20, NULL)::api.vehicle_reading)) "
        "FROM unnest(%s::int[]) AS n",
        [time_, ids],
    )


def differences(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Of one moment: each bucket of the six aggregates that is neither what the history holds nor declared stale."""
    found: list[tuple[Any, ...]] = []
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for kind, resolution in SURFACES:
            query = DIFFERENCES.format(kind=kind, resolution=resolution, energy=ENERGY[kind], width=WIDTHS[resolution])
            found += [(kind, resolution, *row) for row in connection.execute(query).fetchall()]
    return found


def stale(connection: psycopg.Connection[Any]) -> int:
    [count] = connection.execute("SELECT count(*) FROM bi.stale_range").fetchone() or (0,)
    return int(count)


def until(stop: threading.Event, work: Callable[[], None]) -> int:
    """Work again and again; a refresh that meets another one in the same window is turned away, and is not a fault."""
    done = 0
    while not stop.is_set():
        try:
            work()
            done += 1
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            time.sleep(0.01)
    return done


def test_no_bucket_is_ever_wrong_without_being_declared_stale_whatever_runs_at_once(url: str) -> None:
    with connect(url) as connection:
        pause_jobs(connection)
        begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
        store(connection, begin, 60)
        dice = random.Random(7)
        moments = [begin + timedelta(seconds=dice.randrange(5 * 3600)) for _ in range(100_000)]
        stop = threading.Event()

        def arrivals() -> None:
            with connect(url) as sender:
                for minute in range(60, 290):
                    send(sender, begin + (minute + 1) * MINUTE, range(DEVICES))
                    send(sender, moments[minute], dice.sample(range(DEVICES), 3))
                    if stop.is_set():
                        break

        def refresher(query: str) -> Callable[[], int]:
            def run() -> int:
                with connect(url) as worker:
                    return until(stop, lambda: worker.execute(query))

            return run

        by_hand = "CALL refresh_continuous_aggregate('bi.{}', now() - INTERVAL '2 days', now() - INTERVAL '30 minutes')"
        checks = 0
        with ThreadPoolExecutor(8) as pool:
            workers = [pool.submit(refresher(query)) for query in (*REFRESH_AGGREGATES, *REFRESH_AGGREGATES)]
            workers += [pool.submit(refresher(by_hand.format(name))) for name in ("meter_hourly", "vehicle_15min")]
            sending = pool.submit(arrivals)
            try:
                while not sending.done() or checks < 10:
                    assert differences(connection) == []
                    checks += 1
            finally:
                stop.set()
            sending.result()
            runs = [worker.result() for worker in workers]
        assert checks >= 10
        meters, vehicles = (runs[number] + runs[number + 2] for number in (0, 1))  # two work on each kind
        assert min(meters, vehicles) > 0
        for refresh in REFRESH_AGGREGATES:
            connection.execute(refresh)
        assert (differences(connection), stale(connection)) == ([], 0)


def test_a_refresh_that_is_killed_anywhere_loses_nothing_and_the_next_one_mends_it(url: str) -> None:
    with connect(url) as connection:
        pause_jobs(connection)
        begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
        store(connection, begin, 270)
        dice = random.Random(3)
        for _ in range(12):
            send(connection, begin + timedelta(seconds=dice.randrange(4 * 3600)), range(DEVICES))
            with connect(url) as worker:
                pid = worker.info.backend_pid
                refresh = threading.Thread(target=_run_ignoring_the_end, args=(worker, REFRESH_AGGREGATES[0]))
                refresh.start()
                time.sleep(dice.random() * 0.05)
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                refresh.join()
            assert differences(connection) == []
        for refresh_all in REFRESH_AGGREGATES:
            connection.execute(refresh_all)
        assert (differences(connection), stale(connection)) == ([], 0)


def _run_ignoring_the_end(connection: psycopg.Connection[Any], query: str) -> None:
    try:
        connection.execute(query)
    except psycopg.Error:
        connection.close()


def test_the_background_workers_mend_a_late_reading_within_minutes(url: str) -> None:
    with connect(url) as connection:
        connection.execute(
            "SELECT ops.set_policy('bi.' || k || '_15min', 'refresh_every', '10 seconds') "
            "FROM unnest(ARRAY['meter', 'vehicle']) AS k"
        )
        connection.execute("SELECT ops.apply_policies()")
        begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
        store(connection, begin, 90)

        def settled() -> bool:
            held = "SELECT count(materialized_until) FROM ops.aggregate_lag WHERE aggregate LIKE '%hourly'"
            return connection.execute(held).fetchone() == (2,) and stale(connection) == 0

        deadline = time.monotonic() + 60
        while not settled():
            assert differences(connection) == []
            assert time.monotonic() < deadline, "the first refresh did not come about"
            time.sleep(0.2)
        send(connection, begin + 5 * MINUTE + timedelta(seconds=1), range(DEVICES))
        assert stale(connection) > 0
        deadline = time.monotonic() + 60
        while stale(connection):
            assert differences(connection) == []
            assert time.monotonic() < deadline, "the late readings were not taken up"
            time.sleep(0.2)
        assert differences(connection) == []
        health = "SELECT duty, health FROM ops.job_health WHERE health <> 'ok'"
        assert connection.execute(health).fetchall() == []
