"""The replica of the reads is stopped, frozen, or lags: ingest goes on, and the primary answers the reads."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from service.http.app import create_app
from service.settings import Settings
from tests.faults.probe import probing
from tests.faults.server import Server, run_server
from tests.support import YESTERDAY, meter_reading, rfc3339
from tests.support.processes import Service, assert_one_plain_line, free_port, run, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

FIRST_READ_WITHIN_S = 3.0
SESSIONS = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'energy-service%'"


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with run_server() as server:
        server.execute("CREATE DATABASE energy")
        assert run("migrate", DATABASE_URL=url_of(server)).returncode == 0
        yield server


@pytest.fixture(scope="module")
def standby(primary: Server) -> Iterator[Server]:
    """An asynchronous standby; each test leaves it running."""
    with run_server(of=primary) as server:
        yield server


@pytest.fixture
def environment(primary: Server, standby: Server) -> dict[str, str]:
    return {"DATABASE_URL": url_of(primary), "DATABASE_READ_URL": url_of(standby)}


def url_of(server: Server) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}/energy"


def metric(service: Service, name: str) -> float | None:
    found = re.search(rf"^{name} (\S+)$", service.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def read(service: Service, meter: str) -> float:
    """Read a meter's status, and return how long it took."""
    began = time.monotonic()
    assert service.get(f"/v1/status/meter/{meter}").status_code == 200
    return time.monotonic() - began


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_ingest_and_readiness_go_on_and_the_primary_answers_the_reads(
    standby: Server, environment: dict[str, str], how: str
) -> None:
    with running(environment) as service:
        assert service.post_meter(how).status_code == 201
        async with asyncio.timeout(10):
            while service.get(f"/v1/status/meter/{how}").status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert standby.execute(SESSIONS) > 0, "the reads do not go to the replica"
        assert (metric(service, "energy_replica_up"), metric(service, "energy_replica_lag_seconds")) == (1, 0)
        async with probing(service.url) as probe:
            await asyncio.to_thread(standby.stop if how == "stopped" else standby.freeze)
            # several at once: each finds a connection of its own that says nothing
            first = await asyncio.gather(*(asyncio.to_thread(read, service, how) for _ in range(5)))
            later = [await asyncio.to_thread(read, service, how) for _ in range(20)]
            for n in range(20):
                answer = await asyncio.to_thread(service.post_meter, f"{how}{n}")
                assert answer.status_code == 201, answer.text
            assert await asyncio.to_thread(metric, service, "energy_replica_up") == 0
            assert await asyncio.to_thread(metric, service, "energy_database_up") == 1
            assert all(was for _, was in probe.seen)
            await asyncio.to_thread(standby.start if how == "stopped" else standby.thaw)
        async with asyncio.timeout(20):
            while metric(service, "energy_replica_up") != 1 or not standby.execute(SESSIONS):
                read(service, how)
                await asyncio.sleep(0.2)
    assert max(first) < FIRST_READ_WITHIN_S
    assert sorted(later)[-2] < 0.5, "a read waits for the replica again and again"


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_service_and_import_start_without_it(
    standby: Server, environment: dict[str, str], how: str, tmp_path: Path
) -> None:
    (standby.stop if how == "stopped" else standby.freeze)()
    try:
        with running(environment) as service:
            assert service.post_meter(f"start-{how}").status_code == 201
            assert read(service, f"start-{how}") < 1
            assert service.get("/health/ready").status_code == 200
            _, stderr = service.stop(15)
        assert "the replica of DATABASE_READ_URL is away" in stderr
        readings = tmp_path / "readings.ndjson"
        readings.write_text(json.dumps(meter_reading("M1")))
        result = run("import", str(readings), **environment)
        assert (result.returncode, "1 " in result.stdout) == (0, True), result.stderr
        doctor = run("doctor", **environment)
        assert doctor.returncode == 1
        assert re.search(r"WRONG .*DATABASE_READ_URL.*The primary answers the reads", doctor.stdout), doctor.stdout
    finally:
        (standby.start if how == "stopped" else standby.thaw)()


def test_a_lag_is_told_in_seconds(standby: Server, environment: dict[str, str]) -> None:
    with running(environment) as service:
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            assert service.post_meter("lagging").status_code == 201
            assert service.get("/v1/status/meter/lagging").status_code == 404  # as docs/reliability.md says
            time.sleep(2)
            lag = metric(service, "energy_replica_lag_seconds")
            assert lag is not None
            assert 2 < lag < 120
            assert metric(service, "energy_replica_up") == 1
            doctor = run("doctor", **environment)
            assert re.search(r"replica +standby, [1-9]\d* s behind", doctor.stdout), doctor.stdout
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
        until = time.monotonic() + 10
        while metric(service, "energy_replica_lag_seconds") != 0:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_doctor_knows_the_replica_and_names_one_of_another_database(
    primary: Server, environment: dict[str, str]
) -> None:
    assert re.search(r"replica +standby, 0 s behind, at 127.0.0.1", run("doctor", **environment).stdout)
    other = run("doctor", **environment | {"DATABASE_READ_URL": primary.url})
    assert other.returncode == 1
    assert "DATABASE_READ_URL is another database than DATABASE_URL" in other.stdout


def test_a_read_url_that_asks_for_a_standby_takes_the_one_of_several_hosts(
    primary: Server, standby: Server, environment: dict[str, str]
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    for target in ("standby", "prefer-standby"):
        url = f"postgresql://postgres@{hosts}/energy?target_session_attrs={target}"
        found = run("doctor", **environment | {"DATABASE_READ_URL": url})
        assert "replica     standby" in found.stdout, found.stdout
    refused = run("serve", DATABASE_URL=url_of(standby), PORT=str(free_port()))
    assert_one_plain_line(refused, "is read-only", "DATABASE_URL must reach the primary")


START, END = YESTERDAY - timedelta(days=1), YESTERDAY
WINDOW = f"start={rfc3339(START)}&end={rfc3339(END)}"
READS = {
    "/v1/alerts": ["/v1/alerts?state=all"],
    "/v1/analytics/cost": [f"/v1/analytics/cost?{WINDOW}"],
    "/v1/analytics/cost/{vehicle_id:str}": [f"/v1/analytics/cost/V1?{WINDOW}"],
    "/v1/analytics/efficiency": [f"/v1/analytics/efficiency?{WINDOW}"],
    "/v1/analytics/efficiency/{vehicle_id:str}": [f"/v1/analytics/efficiency/V1?{WINDOW}"],
    "/v1/analytics/fleet": [f"/v1/analytics/fleet?{WINDOW}"],
    "/v1/analytics/performance/{vehicle_id:str}": [f"/v1/analytics/performance/V1?{WINDOW}"],
    "/v1/devices": ["/v1/devices"],
    "/v1/fleet": ["/v1/fleet"],
    "/v1/history/meter/{device_id:str}": [
        f"/v1/history/meter/M1?resolution={resolution}&{WINDOW}" for resolution in ("raw", "15min", "hourly", "daily")
    ],
    "/v1/history/vehicle/{device_id:str}": [f"/v1/history/vehicle/V1?resolution=raw&{WINDOW}"],
    "/v1/sessions": [f"/v1/sessions?withCost={cost}&{WINDOW}" for cost in ("false", "true")],
    "/v1/sessions/{vehicle_id:str}": [f"/v1/sessions/V1?withCost=true&{WINDOW}"],
    "/v1/status/meter/{meter_id:str}": ["/v1/status/meter/M1"],
    "/v1/status/vehicle/{vehicle_id:str}": ["/v1/status/vehicle/V1"],
}
"""Route -> reads that a replica answers."""
READS_OF_THE_PRIMARY = {
    "/v1/alerts/{alert_id:str}": "/v1/alerts/1",
    "/v1/devices/meter/{device_id:str}": "/v1/devices/meter/M1",
    "/v1/devices/vehicle/{device_id:str}": "/v1/devices/vehicle/V1",
    "/v1/devices/meter/{device_id:str}/exchange": "/v1/devices/meter/M1/exchange",
    "/v1/devices/vehicle/{device_id:str}/exchange": "/v1/devices/vehicle/V1/exchange",
    "/v1/devices/meter/{meter_id:str}/vehicles": "/v1/devices/meter/M1/vehicles",
    "/v1/links/{vehicle_id:str}": "/v1/links/V1",
}
VIEWS = """
    SELECT c.oid::regclass::text
    FROM pg_class AS c
    WHERE c.relkind = 'v' AND c.relnamespace IN ('bi'::regnamespace, 'ops'::regnamespace)
"""
FILL = [
    "SELECT count(api.link_vehicle('V' || n, 'M' || n, %(start)s)) FROM generate_series(1, 120) AS n",
    "SELECT ops.set_price(0.3, 'EUR'), ops.set_grid_intensity(300)",
    """
        SELECT count(*) FROM api.ingest_meter_readings(ARRAY(
            SELECT ('M' || n, t, 1, 230, NULL)::api.meter_reading
            FROM generate_series(1, 120) AS n, generate_series(%(start)s, %(end)s, INTERVAL '15 minutes') AS t
        ))
    """,
    """
        SELECT count(*) FROM api.ingest_vehicle_readings(ARRAY(
            SELECT ('V' || n, t, 50, CASE WHEN t > %(noon)s THEN 0.9 ELSE 0 END, 30, NULL)::api.vehicle_reading
            FROM generate_series(1, 120) AS n, generate_series(%(start)s, %(end)s, INTERVAL '15 minutes') AS t
        ))
    """,
    """
        INSERT INTO telemetry.alert (
            rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason
        )
        VALUES ('hot', 'battery_hot', 'vehicle', 'V1', 'critical', %(start)s, %(end)s, 50, 'battery at 60 °C')
    """,
]
"""A fleet of more than 100 vehicles, which some functions read in another way than a few."""


def test_a_hot_standby_answers_every_read_as_the_primary_does(
    primary: Server, standby: Server, environment: dict[str, str]
) -> None:
    routes = {route.path for route in create_app(None, Settings()).routes if "GET" in route.methods}
    asked = {path for path in routes if path.startswith("/v1/")} - {"/v1/events"}
    assert READS.keys() | READS_OF_THE_PRIMARY.keys() == asked
    with psycopg.connect(url_of(primary), autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement, {"start": START, "noon": START + timedelta(hours=12), "end": END})
        [position] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or ()
    paths = [path for each in READS.values() for path in each]
    with running({"DATABASE_URL": url_of(primary)}) as service:
        expected = {path: service.get(path).json() for path in paths}
    until = time.monotonic() + 30
    while not standby.execute(f"SELECT WHERE pg_last_wal_replay_lsn() >= '{position}'"):
        assert time.monotonic() < until
        time.sleep(0.05)
    with running(environment) as service:
        primary.stop()
        try:
            answers = {path: service.get(path) for path in paths}
            refused = {service.get(path).status_code for path in READS_OF_THE_PRIMARY.values()}
            # of BI people and DBAs, who connect to it themselves
            with psycopg.connect(url_of(standby), autocommit=True) as connection:
                for (view,) in connection.execute(VIEWS).fetchall():
                    connection.execute(f"SELECT * FROM {view} LIMIT 1")
        finally:
            primary.start()
    assert {path: answer.text for path, answer in answers.items() if answer.status_code != 200} == {}
    found = {path: answer.json() for path, answer in answers.items()}
    for path in paths:
        if WINDOW in path:
            assert found[path] == expected[path]
    sessions = found[f"/v1/sessions?withCost=true&{WINDOW}"]["items"]
    assert [session["cost"] is None for session in sessions] == [False] * 120
    assert refused == {503}
