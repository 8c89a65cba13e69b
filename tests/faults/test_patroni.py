"""Patroni makes a standby the primary, while devices send, jobs run and commands work."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from service.database.migrations import known_migrations
from tests.faults.cluster import Cluster, Node, wait
from tests.faults.conftest import Tell
from tests.faults.driver import BASE, STEP, Verdict, compare, fleet
from tests.faults.probe import probing
from tests.support import rfc3339
from tests.support.processes import run, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SETTINGS = {"ENERGY_LOG_LEVEL": "error"}
SERVED_WITHIN_S = 5.0
READY_WITHIN_S = 2.0
JOBS_OK_WITHIN_S = 600.0
EVENTS: dict[str, Callable[[Cluster, Node], None]] = {
    "killed (-9), restarted by Patroni": lambda _, primary: primary.kill_postgres(),
    "its machine lost": lambda _, primary: primary.freeze(),
    "frozen until another is primary": lambda _, primary: primary.freeze(),
    "switched over": lambda cluster, _: cluster.switch_over(),
}
KILLED, LOST, FROZEN, SWITCHED = EVENTS


@pytest.mark.parametrize(
    ("event", "route", "workers"),
    [
        (KILLED, "hosts", 1),
        (KILLED, "haproxy", 2),
        (LOST, "hosts", 2),
        (LOST, "haproxy", 1),
        (FROZEN, "hosts", 1),
        (FROZEN, "pgbouncer", 2),
        (SWITCHED, "hosts", 2),
        (SWITCHED, "haproxy", 1),
        (SWITCHED, "pgbouncer", 1),
    ],
)
async def test_the_primary_fails(cluster: Cluster, tell: Tell, event: str, route: str, workers: int) -> None:
    if event == FROZEN:  # the first in the URL is the worst
        await asyncio.to_thread(cluster.make_primary, cluster.nodes[0])
    old = await asyncio.to_thread(cluster.with_role, "leader")
    environment = {**SETTINGS, "DATABASE_URL": cluster.url(route), "ENERGY_WORKERS": str(workers)}
    with running(environment, "--migrate") as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(300)
            broken = time.monotonic()
            await asyncio.to_thread(EVENTS[event], cluster, old)
            promoted = await asyncio.to_thread(cluster.promoted_at, broken)
            if event == FROZEN:
                await asyncio.sleep(1)
                old.thaw()
            await sending.until(200)
            await probe.until(ready=True)
            await sending.stop()
    last = max(at for at, _ in sending.acknowledged_at if at < promoted)
    served, out = sending.recovery(promoted), sending.recovery(last)
    unready, ready = probe.turned(last, ready=False), probe.turned(promoted, ready=True)
    await asyncio.to_thread(cluster.heal)
    tell(
        f"primary {event}; {route}, {workers} worker(s)",
        compare(cluster.url("haproxy"), sending),
        [sending],
        f"no ingest for {out:.1f} s, {served:.2f} s of them after the promotion; unready after {unready:.2f} s, "
        f"ready {ready:.2f} s after the promotion",
    )
    assert served < SERVED_WITHIN_S
    assert unready < READY_WITHIN_S
    assert ready < served + READY_WITHIN_S


async def test_the_synchronous_standby_is_frozen_then_the_primary_is_lost(cluster: Cluster, tell: Tell) -> None:
    primary, standby = [await asyncio.to_thread(cluster.with_role, role) for role in ("leader", "sync_standby")]
    with running({**SETTINGS, "DATABASE_URL": cluster.url("hosts")}, "--migrate") as service:
        sending = fleet(service.url)
        await sending.start()
        await sending.until(300)
        stalled = time.monotonic()
        await asyncio.to_thread(standby.freeze)
        # a statement ends after 10 s, and leaves its reading on the primary alone; the retry finds it there
        await asyncio.sleep(14)
        await asyncio.to_thread(primary.kill)
        # what is on its way to it is lost with its machine, which then starts again
        await asyncio.to_thread(standby.kill)
        standby.start()
        lost = time.monotonic()
        promoted = await asyncio.to_thread(cluster.promoted_at, lost)
        # which takes the other standby a while, as it has to give up what it has more
        confirmed = await asyncio.to_thread(cluster.confirmed_at)
        await sending.until(200)
        await sending.stop()
    served = sending.recovery(promoted)
    meanwhile = sum(count for at, count in sending.acknowledged_at if stalled + 1 < at < promoted)
    await asyncio.to_thread(cluster.heal)
    tell(
        "synchronous standby frozen for 14 s, then the primary lost; hosts, 1 worker",
        compare(cluster.url("haproxy"), sending),
        [sending],
        f"{meanwhile} acknowledged meanwhile; after the promotion a standby confirmed in {confirmed - promoted:.2f} s, "
        f"served in {served:.2f} s",
    )
    assert sending.answers["503"] > 0
    assert served < confirmed - promoted + SERVED_WITHIN_S


@pytest.mark.parametrize("route", ["hosts", "haproxy"])
async def test_the_dcs_is_lost(cluster: Cluster, tell: Tell, route: str) -> None:
    with running({**SETTINGS, "DATABASE_URL": cluster.url(route)}, "--migrate") as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(300)
            await asyncio.to_thread(cluster.kill_etcd)
            await asyncio.sleep(40)
            cluster.start_etcd()
            await sending.until(300)
            await sending.stop()
    unready = sum(not ready for _, ready in probe.seen)
    tell(
        f"etcd lost for 40 s, with failsafe_mode; {route}, 1 worker",
        compare(cluster.url("haproxy"), sending),
        [sending],
        f"longest silence {sending.longest_silence():.2f} s; {unready} of {len(probe.seen)} probes unready",
    )
    assert sending.longest_silence() < READY_WITHIN_S
    assert not unready


ENERGY = """
    SELECT
        (SELECT sum(h.kwh_delivered_dc) FROM telemetry.vehicle_telemetry_history AS h),
        (SELECT sum(d.kwh_delivered_dc) FROM bi.vehicle_daily AS d),
        (SELECT sum(s.kwh_delivered_dc) FROM telemetry.charging_session AS s)
"""
"""All readings of the fleet belong to a charging session."""


@pytest.mark.timeout(840)
async def test_jobs_run_while_a_standby_is_promoted(cluster: Cluster, tell: Tell) -> None:
    at_work = "SELECT FROM timescaledb_information.job_stats WHERE job_status = 'Running'"
    waiting = "SELECT purpose, health FROM ops.job_health WHERE health <> 'ok' OR last_started_at < %s"
    primary = await asyncio.to_thread(cluster.with_role, "leader")
    url = cluster.url("haproxy")
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        sending = fleet(service.url, every=1.0)
        await sending.start()
        with psycopg.connect(url, autocommit=True) as connection:
            # so that some of them always run
            connection.execute(
                "SELECT public.alter_job(job_id, schedule_interval => '2 s', next_start => now()) FROM ops.policy_job"
            )
            await sending.until(100)
            await asyncio.to_thread(wait, lambda: connection.execute(at_work).rowcount > 0, 60, pause=0.01)
        broken = time.monotonic()
        await asyncio.to_thread(primary.kill)
        promoted = await asyncio.to_thread(cluster.promoted_at, broken)
        await sending.until(100)
        with psycopg.connect(url, autocommit=True) as connection:
            [now] = connection.execute("SELECT now()").fetchone() or ()
            await asyncio.sleep(10)
            left = len(connection.execute(waiting, [now]).fetchall())
            # the interrupted ones: TimescaleDB takes them for crashed, and starts them again after 5 minutes
            await asyncio.to_thread(wait, lambda: not connection.execute(waiting, [now]).rowcount, JOBS_OK_WITHIN_S)
            ok = time.monotonic() - promoted
            await sending.stop()
            # the refresh that was interrupted has left nothing out, and stored nothing twice
            await asyncio.to_thread(wait, lambda: len(set(connection.execute(ENERGY).fetchone() or ())) == 1, 60)
    tell(
        "primary lost while jobs run; haproxy, 1 worker",
        compare(url, sending),
        [sending],
        f"served {sending.recovery(promoted):.2f} s after the promotion; {left} jobs were interrupted, "
        f"all ok {ok:.0f} s after it",
    )


def is_migrating(cluster: Cluster, _: Path) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE query LIKE '%%CREATE OR REPLACE%%' AND pid <> pg_backend_pid()"
    with psycopg.connect(cluster.url("haproxy")) as connection:
        return bool(connection.execute(query).fetchall())


def is_importing(cluster: Cluster, _: Path) -> bool:
    with psycopg.connect(cluster.url("haproxy")) as connection:
        return bool(connection.execute("SELECT FROM telemetry.meter_telemetry_history LIMIT 1").fetchall())


def is_archiving(_: Cluster, folder: Path) -> bool:
    return any((folder / "archive").rglob("*.parquet"))


ROWS = 300_000
DAYS = 60
COMMANDS: dict[str, tuple[list[str], Callable[[Cluster, Path], bool]]] = {
    "migrate": (["migrate"], is_migrating),
    "import": (["import", "readings.csv", "--set", "voltage=230"], is_importing),
    "archive run": (["archive", "run"], is_archiving),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_is_at_work_when_the_primary_is_lost(
    cluster: Cluster, tell: Tell, tmp_path: Path, command: str
) -> None:
    primary = await asyncio.to_thread(cluster.with_role, "leader")
    url = cluster.url("hosts")
    environment = {"DATABASE_URL": url, "ENERGY_ARCHIVE": str(tmp_path / "archive")}
    arguments, works = COMMANDS[command]
    if command != "migrate":
        assert (await asyncio.to_thread(run, "migrate", **environment)).returncode == 0
    wanted = await asyncio.to_thread(prepare, command, url, tmp_path)
    working = asyncio.create_task(asyncio.to_thread(run, *arguments, directory=tmp_path, **environment))
    while not await asyncio.to_thread(works, cluster, tmp_path):
        assert not working.done(), working.result()
    broken = time.monotonic()
    await asyncio.to_thread(primary.kill)
    first = await working
    ended = time.monotonic() - broken
    assert first.returncode == 1
    assert re.fullmatch(r"energy: [^\n]+\n", first.stderr.rpartition("\r")[2]), first.stderr
    await asyncio.to_thread(cluster.promoted_at, broken)
    again = await asyncio.to_thread(run, *arguments, directory=tmp_path, **environment)
    assert again.returncode == 0, again.stderr
    found = await asyncio.to_thread(look, command, url, environment)
    tell(
        f"primary lost during energy {command}; hosts",
        Verdict(acknowledged=wanted, stored=found, missing=wanted - found),
        [],
        f"it ended {ended:.1f} s after, saying so; the next run completed it",
    )


def prepare(command: str, url: str, folder: Path) -> int:
    """Make its work, and return how many rows, chunks or migrations there will be."""
    if command == "import":
        lines = [f"M{n % 300},1,{rfc3339(BASE + n // 300 * STEP)}\n" for n in range(ROWS)]
        (folder / "readings.csv").write_text("meterId,kwhConsumedAc,timestamp\n" + "".join(lines))
        return ROWS
    if command == "migrate":
        return len(known_migrations())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE ops.policy SET archive = TRUE WHERE object LIKE 'telemetry.%history'")
        connection.execute("SELECT ops.apply_policies()")
        connection.execute(
            "INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage) "
            "SELECT 'M' || n %% 100, %s + n * INTERVAL '30 s', 1, 230 FROM generate_series(0, %s) AS n",
            [BASE - timedelta(days=800), DAYS * 2880 - 1],
        )
    return DAYS


def look(command: str, url: str, environment: dict[str, str]) -> int:
    """Return how many there are."""
    if command == "archive run":
        verified = run("archive", "verify", **environment)
        assert verified.returncode == 0, verified.stderr
    query = {
        "import": "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE kwh_consumed_ac = 1",
        "migrate": "SELECT count(*) FROM yoyo._yoyo_migration",
        "archive run": "SELECT count(*) FROM ops.archived_chunk",
    }[command]
    with psycopg.connect(url) as connection:
        [count] = connection.execute(query).fetchone() or (0,)
    return int(count)
