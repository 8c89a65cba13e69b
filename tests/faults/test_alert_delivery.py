"""Services and database are killed while alerts are opened and closed: no message is lost, none is invented."""

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from service.database.migrate import migrate
from tests.faults.server import Server
from tests.support.delivery import receiving
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
            async with asyncio.timeout(120):
                while connection.execute("SELECT FROM ops.webhook_message LIMIT 1").fetchall():
                    # leases and delays that would take minutes
                    connection.execute("UPDATE ops.webhook_message SET due_at = now() WHERE leased_until IS NULL")
                    connection.execute(
                        "UPDATE ops.webhook_message SET leased_until = now() "
                        "WHERE leased_until < now() + INTERVAL '40 seconds'"
                    )
                    await asyncio.sleep(0.5)
            states = connection.execute("SELECT id, closed_at IS NOT NULL FROM telemetry.alert").fetchall()
    expected = {(number, event) for number, closed in states for event in ["opened", *["closed"] * closed]}
    by_id: dict[str, set[bytes]] = {}
    for request in people.received:
        by_id.setdefault(request.headers["webhook-id"], set()).add(request.body)
    assert {len(bodies) for bodies in by_id.values()} == {1}, "an id has one message"
    sent = {(request.json["data"]["id"], request.json["type"].removeprefix("alert.")) for request in people.received}
    assert sent == expected
    assert len(by_id) == len(expected) >= changes.committed > ROUNDS * 50, "each message has one id"
