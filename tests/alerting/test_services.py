"""Delivery by services as processes: one that is killed between sending and noting, and two on one database."""

import asyncio
import time
from collections import Counter
from contextlib import ExitStack

import psycopg
import pytest

from tests.support import TestDatabase
from tests.support.delivery import receiving
from tests.support.processes import Service, running

pytestmark = [pytest.mark.concurrent, pytest.mark.long]

MANY = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason
    )
    SELECT 'hot', 'battery_hot', 'vehicle', 'V' || n, 'critical', now(), now(), 50, 'battery at 60 °C'
    FROM generate_series(1, %s) AS n
"""
CLOSE = "UPDATE telemetry.alert SET closed_at = now(), close_reason = 'over'"


class World:
    """A database with a webhook, and services on it."""

    def __init__(self, database: TestDatabase, hook: str, alertmanager: str = "") -> None:
        self.connection = psycopg.connect(database.url, autocommit=True)
        self.connection.execute("SELECT ops.set_webhook('people', %s)", [hook])
        self._environment = {
            **{"DATABASE_URL": database.url, "ENERGY_WEBHOOK_PRIVATE": "on"},
            "ENERGY_ALERTMANAGER_URL": alertmanager,
        }
        self._stack = ExitStack()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.connection.close()

    async def serve(self) -> Service:
        return await asyncio.to_thread(self._stack.enter_context, running(self._environment))

    def left(self) -> int:
        [(left,)] = self.connection.execute("SELECT count(*) FROM ops.webhook_message").fetchall()
        return left

    async def wait_until_empty(self) -> None:
        async with asyncio.timeout(60):
            while self.left():  # noqa: ASYNC110 - the outbox has no event
                await asyncio.sleep(0.1)


async def test_a_service_that_is_killed_between_sending_and_noting_sends_again_with_the_same_id(
    migrated_database: TestDatabase,
) -> None:
    async with receiving() as people:
        never = asyncio.Event()
        people.answer = lambda _: never.wait()
        with World(migrated_database, people.url) as world:
            first = await world.serve()
            world.connection.execute(MANY, [1])
            await people.wait_for(len)
            first.process.kill()
            await asyncio.to_thread(first.process.wait)
            never.set()
            people.answer = lambda _: 204
            # a minute later
            world.connection.execute("UPDATE ops.webhook_message SET leased_until = now()")
            await world.serve()
            await people.wait_for(lambda received: len(received) == 2)
            await world.wait_until_empty()
    assert len({(request.headers["webhook-id"], request.body) for request in people.received}) == 1


async def test_two_services_on_one_database_send_every_message_once_and_feed_alertmanager_in_turns(
    migrated_database: TestDatabase,
) -> None:
    async with receiving() as people, receiving() as manager:
        with World(migrated_database, people.url, manager.url) as world:
            world.connection.execute(MANY, [200])
            began = time.monotonic()
            await asyncio.gather(world.serve(), world.serve())
            world.connection.execute(CLOSE)
            await world.wait_until_empty()
            await manager.wait_for(len)
            feeds = 1 + (time.monotonic() - began) // 30
    sent = [(request.json["type"], request.json["data"]["id"]) for request in people.received]
    assert Counter(sent).most_common(1)[0][1] == 1
    assert len(sent) == 400
    order: dict[int, list[str]] = {}
    for event, alert in sent:
        order.setdefault(alert, []).append(event)
    assert set(map(tuple, order.values())) == {("alert.opened", "alert.closed")}
    assert len(manager.received) <= feeds
