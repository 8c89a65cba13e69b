"""Services and database are killed while alerts are found, opened and closed: none is lost, none is invented."""

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.database.migrate import migrate
from tests.faults.server import Server
from tests.faults.standby import run_standby
from tests.support.delivery import Received, receiving
from tests.support.processes import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

OPEN = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason
    )
    VALUES ('hot', 'battery_hot', 'vehicle', %s, 'critical', now(), now(), 50, 'battery at 60 °C')
    RETURNING id
"""
CLOSE = "UPDATE telemetry.alert SET closed_at = now(), close_reason = 'over' WHERE id = %s"
ROUNDS = 4


class Changes:
    """Opens and closes one alert after the other, over every loss of the database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._names: Iterator[int] = itertools.count()
        self.stopping = False
        self.committed = 0

    def run(self) -> None:
        while not self.stopping:
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                    while not self.stopping:
                        [(number,)] = connection.execute(OPEN, [f"V{next(self._names)}"]).fetchall()
                        connection.execute(CLOSE, [number])
                        self.committed += 2
                        time.sleep(0.05)
            except psycopg.OperationalError:
                pass


async def empty_outbox(connection: psycopg.Connection[Any]) -> None:
    """Wait until every message is delivered, without the leases and delays that would take minutes."""
    async with asyncio.timeout(120):
        while connection.execute("SELECT FROM ops.webhook_message LIMIT 1").fetchall():
            connection.execute("UPDATE ops.webhook_message SET due_at = now() WHERE leased_until IS NULL")
            connection.execute(
                "UPDATE ops.webhook_message SET leased_until = now() WHERE leased_until < now() + INTERVAL '40 seconds'"
            )
            await asyncio.sleep(0.5)


def expected_messages(connection: psycopg.Connection[Any]) -> set[tuple[int, str]]:
    """The number of an alert and the event, of every change that the database has."""
    states = connection.execute("SELECT id, closed_at IS NOT NULL FROM telemetry.alert").fetchall()
    return {(number, event) for number, closed in states for event in ["opened", *["closed"] * closed]}


def check_messages(received: list[Received], expected: set[tuple[int, str]]) -> None:
    """Each change was sent, under one id, and nothing else was."""
    by_id: dict[str, set[bytes]] = {}
    for request in received:
        by_id.setdefault(request.headers["webhook-id"], set()).add(request.body)
    assert {len(bodies) for bodies in by_id.values()} == {1}, "an id has one message"
    sent = {(request.json["data"]["id"], request.json["type"].removeprefix("alert.")) for request in received}
    assert sent == expected
    assert len(by_id) == len(expected), "each message has one id"


async def test_services_and_database_are_killed_while_alerts_open_and_close(url: str, server: Server) -> None:
    await asyncio.to_thread(migrate, url)
    environment = {"DATABASE_URL": url, "ENERGY_WEBHOOK_PRIVATE": "on", "ENERGY_LOG_LEVEL": "error"}
    async with receiving() as people:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT ops.set_webhook('people', %s)", [people.url])
        changes = Changes(url)
        changing = asyncio.create_task(asyncio.to_thread(changes.run))
        try:
            for round_ in range(ROUNDS):
                before = len(people.received)
                with running(environment) as first, running(environment):
                    await people.wait_for(lambda received, before=before: len(received) > before + 50, 120)
                    if round_ % 2:
                        await asyncio.to_thread(server.kill)
                        await asyncio.to_thread(server.start)
                    await asyncio.to_thread(first.stop, signal.SIGKILL)
                # both are gone, in the middle of their work
        finally:
            changes.stopping = True
            await changing
        with psycopg.connect(url, autocommit=True) as connection, running(environment):
            await empty_outbox(connection)
            expected = expected_messages(connection)
    check_messages(people.received, expected)
    assert len(expected) >= changes.committed > ROUNDS * 50


async def test_a_standby_is_promoted_while_alerts_are_delivered(url: str, server: Server) -> None:
    await asyncio.to_thread(migrate, url)
    with run_standby(server) as standby:
        standby.make_synchronous()
        hosts = url.replace(f":{server.port}/", f":{server.port},127.0.0.1:{standby.port}/")
        environment = {"DATABASE_URL": hosts, "ENERGY_WEBHOOK_PRIVATE": "on", "ENERGY_LOG_LEVEL": "error"}
        async with receiving() as people:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SELECT ops.set_webhook('people', %s)", [people.url])
                # so that changes are visible before a standby has them, as after a cancelled wait
                connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
            changes = Changes(f"{hosts}?target_session_attrs=read-write")
            changing = asyncio.create_task(asyncio.to_thread(changes.run))
            try:
                with running(environment), running(environment):
                    await people.wait_for(lambda received: len(received) > 50, 120)
                    await asyncio.to_thread(standby.stall)
                    before = changes.committed
                    await asyncio.sleep(3)
                    ahead = changes.committed - before
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(standby.promote)
                    before = len(people.received)
                    await people.wait_for(lambda received: len(received) > before + 50, 120)
                    changes.stopping = True
                    await changing
                    with psycopg.connect(standby.url_of(url), autocommit=True) as connection:
                        await empty_outbox(connection)
                        expected = expected_messages(connection)
            finally:
                changes.stopping = True
                await changing
    assert ahead > 10, "nothing was on the lost primary alone"
    check_messages(people.received, expected)


MINUTE = timedelta(minutes=1)
BATCH = 20
"""Vehicles whose readings arrive in one transaction; every other one has a hot battery."""
READINGS = """
    SELECT count(*) FROM api.ingest_vehicle_readings(ARRAY(
        SELECT ('V' || n, t, 50, 0.1, CASE WHEN n %% 2 = 0 THEN 60 ELSE 30 END, NULL)::api.vehicle_reading
        FROM generate_series(%s::integer, %s - 1) AS n
        CROSS JOIN generate_series(%s::timestamptz, %s, INTERVAL '1 minute') AS t
    ))
"""


class Evaluator:
    """Judges all rules again and again, over every loss of the database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.stopping = False
        self.lost = 0

    def run(self) -> None:
        while not self.stopping:
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                    while not self.stopping:
                        connection.execute("SELECT ops.evaluate_alerts()")
            except psycopg.OperationalError:
                self.lost += 1
                time.sleep(0.05)


def store(url: str, first: int, start: datetime, end: datetime) -> None:
    """Store the readings of a batch of vehicles, as often as it takes."""
    while True:
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=2) as connection:
                connection.execute(READINGS, [first, first + BATCH, start + MINUTE, end])
                return
        except psycopg.OperationalError:
            time.sleep(0.05)


async def test_each_fault_has_one_alert_and_one_message_though_two_evaluations_and_the_database_are_killed(
    url: str, server: Server
) -> None:
    await asyncio.to_thread(migrate, url)
    environment = {"DATABASE_URL": url, "ENERGY_WEBHOOK_PRIVATE": "on", "ENERGY_LOG_LEVEL": "error"}
    end = datetime.fromtimestamp(time.time() // 900 * 900 - 900, UTC)
    start = end - 3 * 60 * MINUTE
    evaluators = [Evaluator(url), Evaluator(url)]
    async with receiving() as people:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT ops.set_webhook('people', %s)", [people.url])
            connection.execute("UPDATE ops.alert_rule SET enabled = name = 'battery_hot'")
        evaluating = [asyncio.create_task(asyncio.to_thread(evaluator.run)) for evaluator in evaluators]
        try:
            for round_ in range(ROUNDS):
                before = len(people.received)
                with psycopg.connect(url, autocommit=True) as connection:
                    # what the killed services hold would take a minute
                    connection.execute("UPDATE ops.webhook_message SET leased_until = now() WHERE leased_until > now()")
                with running(environment) as first, running(environment):
                    # the second batch arrives while the database goes
                    await asyncio.to_thread(store, url, 2 * round_ * BATCH, start, end)
                    await people.wait_for(lambda received, before=before: len(received) > before, 120)
                    storing = asyncio.create_task(asyncio.to_thread(store, url, (2 * round_ + 1) * BATCH, start, end))
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                    await storing
                    await asyncio.to_thread(first.stop, signal.SIGKILL)
        finally:
            for evaluator in evaluators:
                evaluator.stopping = True
            await asyncio.gather(*evaluating)
        with psycopg.connect(url, autocommit=True) as connection, running(environment):
            connection.execute("SELECT ops.evaluate_alerts()")
            await empty_outbox(connection)
            found = connection.execute("SELECT device_id, opened_at, closed_at FROM telemetry.alert").fetchall()
    # hot from the first reading on: a window of a quarter hour, and another one before it opens
    hot = [(f"V{number}", start + 30 * MINUTE, None) for number in range(0, 2 * ROUNDS * BATCH, 2)]
    assert sorted(found) == sorted(hot)
    sent = {(request.headers["webhook-id"], request.json["data"]["deviceId"]) for request in people.received}
    assert sorted(device for _, device in sent) == sorted(device for device, _, _ in hot)
    assert min(evaluator.lost for evaluator in evaluators) >= ROUNDS
