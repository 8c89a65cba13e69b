"""Alerts: nobody but the DBA sees a webhook's secret, and one person acknowledges."""

import asyncio

import asyncpg
import pytest

from service.database.calls import ACKNOWLEDGE_ALERT, LEASE_WEBHOOK_MESSAGES, SETTLE_WEBHOOK_MESSAGE
from service.database.connect import set_up
from tests.support import Owner, TestDatabase, new_pair
from tests.support.delivery import open_alert

READABLE = """
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE c.relnamespace::regnamespace::text IN ('ops', 'bi') AND c.relkind IN ('r', 'v')
AND has_table_privilege($1, c.oid, 'SELECT')
"""
FUNCTIONS = ["ops.list_drift()", "ops.diagnose()", "api.get_database_metrics()", "api.list_alerts('all')"]


async def test_a_webhooks_secret_is_shown_by_the_functions_for_it_and_nowhere_else(owner: Owner) -> None:
    async with owner.undone() as connection:
        secret = await connection.fetchval("SELECT ops.set_webhook('hidden', 'https://example.com/hook')")
        await connection.execute(
            "INSERT INTO telemetry.alert (rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at,"
            " threshold, reason) VALUES ('r', 'battery_hot', 'vehicle', 'V1', 'info', now(), now(), 1, 'hot')"
        )
        [message] = [row for row in await connection.fetch(LEASE_WEBHOOK_MESSAGES) if row["webhook_name"] == "hidden"]
        assert message["secret"] == secret
        await connection.execute(SETTLE_WEBHOOK_MESSAGE, message["message_id"], message["attempts"], "answered 500")
        places = [
            *FUNCTIONS,
            *{row[0] for role in ("energy_dba", "energy_bi") for row in await connection.fetch(READABLE, role)},
        ]
        assert {"ops.webhook", "ops.webhook_message", "bi.alert"} < set(places)
        shown = ""
        for place in places:
            shown += await connection.fetchval(f"SELECT coalesce(string_agg(p::text, ' '), '') FROM {place} AS p")
        assert "https://example.com/hook" in shown
        assert secret not in shown
        assert secret.removeprefix("whsec_") not in shown


@pytest.mark.concurrent
async def test_of_two_who_acknowledge_at_once_the_second_gets_the_words_of_the_first(
    test_database: TestDatabase, owner: Owner
) -> None:
    number = await open_alert(owner, new_pair().vehicle)
    first, second = [await asyncpg.connect(test_database.url) for _ in range(2)]
    try:
        for connection in (first, second):
            await set_up(connection)
        transaction = first.transaction()
        await transaction.start()
        await first.fetchrow(ACKNOWLEDGE_ALERT, number, "first", "mine")
        waiting = asyncio.create_task(second.fetchrow(ACKNOWLEDGE_ALERT, number, "second", "no, mine"))
        blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0"
        async with asyncio.timeout(10):
            while not await owner.fetchval(blocked, second.get_server_pid()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await transaction.commit()
            answer = await waiting
    finally:
        first.terminate()
        second.terminate()
    assert (answer["acknowledged_by"], answer["note"]) == ("first", "mine")
