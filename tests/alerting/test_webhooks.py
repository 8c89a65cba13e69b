"""Messages to webhooks, from the change of an alert to the receiver: signed, repeated, each once at a time."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.alerting.delivery import Outbox
from service.alerting.post import open_session
from service.database.pool import Database
from tests.support import Owner, new_pair, pools_of
from tests.support.delivery import CLOSE, Received, Receiver, open_alert, receiving

SET = "SELECT ops.set_webhook($1, $2)"
DUE = "UPDATE ops.webhook_message SET due_at = now(), leased_until = NULL WHERE webhook_name = $1"
LEFT = "SELECT count(*) FROM ops.webhook_message WHERE webhook_name = $1"


class Hook:
    """A receiver with a webhook that leads to it."""

    def __init__(self, receiver: Receiver, name: str, secret: str) -> None:
        self.receiver, self.name, self.secret = receiver, name, secret

    def verify(self, request: Received) -> dict:
        return Webhook(self.secret).verify(request.body, request.headers)


MakeHook = Callable[[], Awaitable[Hook]]


@pytest.fixture
async def make_hook(owner: Owner) -> AsyncIterator[MakeHook]:
    async with AsyncExitStack() as stack:

        async def make() -> Hook:
            receiver, name = await stack.enter_async_context(receiving()), new_pair().vehicle
            secret = await owner.fetchval(SET, name, f"{receiver.url}/alerts")
            stack.push_async_callback(owner.execute, "SELECT ops.remove_webhook($1)", name)
            return Hook(receiver, name, secret)

        yield make


@pytest.fixture
async def hook(make_hook: MakeHook) -> Hook:
    return await make_hook()


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[Outbox]:
    async with (
        open_session(only_public=False) as session,
        Outbox(database, session, "https://energy.example") as outbox,
    ):
        yield outbox


async def drain(outbox: Outbox) -> None:
    while await outbox.deliver():
        pass


async def test_every_change_arrives_in_order_and_signed(owner: Owner, hook: Hook, outbox: Outbox) -> None:
    alert = await open_alert(owner, f"{hook.name}/ä")
    await owner.execute("SELECT api.acknowledge_alert($1, 'me', 'on my way')", alert)
    await owner.execute(CLOSE, alert)
    await drain(outbox)
    messages = [hook.verify(request) for request in hook.receiver.received]
    assert [message["type"] for message in messages] == ["alert.opened", "alert.acknowledged", "alert.closed"]
    assert len({request.headers["webhook-id"] for request in hook.receiver.received}) == 3
    assert {message["url"] for message in messages} == {f"https://energy.example/#/vehicle/{hook.name}%2F%C3%A4"}
    opened, acknowledged, closed = (message["data"] for message in messages)
    assert (opened["id"], opened["deviceId"], opened["ruleKind"]) == (alert, f"{hook.name}/ä", "efficiency_low")
    assert (opened["value"], opened["details"]) == (0.79, {"kwh_consumed_ac": 40})
    assert opened["closedAt"] is opened["acknowledgedAt"] is None
    assert (acknowledged["acknowledgedBy"], acknowledged["note"]) == ("me", "on my way")
    assert closed["closedAt"] > closed["openedAt"]
    assert await owner.fetchval(LEFT, hook.name) == 0


async def test_a_message_that_was_changed_on_its_way_is_not_verified(owner: Owner, hook: Hook, outbox: Outbox) -> None:
    await open_alert(owner, hook.name)
    await drain(outbox)
    [request] = hook.receiver.received
    for changed in (
        Received(request.path, request.headers, request.body.replace(b"79 %", b"97 %")),
        Received(request.path, {**request.headers, "webhook-id": "msg_other"}, request.body),
    ):
        with pytest.raises(WebhookVerificationError):
            hook.verify(changed)


async def test_a_failed_message_is_sent_again_with_the_same_id_and_body_and_a_new_signature(
    owner: Owner, hook: Hook, outbox: Outbox
) -> None:
    answers = iter([500, 302, 429, 204])
    hook.receiver.answer = lambda _: next(answers)
    await open_alert(owner, hook.name)
    for number in range(1, 5):
        await drain(outbox)
        assert len(hook.receiver.received) == number, "the next attempt is not due yet"
        await owner.execute(DUE, hook.name)
    assert len({(request.headers["webhook-id"], request.body) for request in hook.receiver.received}) == 1
    for request in hook.receiver.received:
        hook.verify(request)
    assert await owner.fetchval(LEFT, hook.name) == 0


async def test_a_receiver_that_hangs_keeps_no_other_waiting(owner: Owner, make_hook: MakeHook, outbox: Outbox) -> None:
    slow, quick = await make_hook(), await make_hook()
    over = asyncio.Event()

    async def hang(_: object) -> int:
        await over.wait()
        return 204

    slow.receiver.answer = hang
    for number in range(20):
        await open_alert(owner, f"{slow.name}-{number}")
    while len(quick.receiver.received) < 20:
        await outbox.deliver()
    assert len(slow.receiver.received) == 5, "it has its own few leases and no more"
    over.set()
    await drain(outbox)
    assert len(slow.receiver.received) == 20


async def test_a_service_that_ends_while_it_sends_leaves_the_message_to_another(
    owner: Owner, database: Database, hook: Hook
) -> None:
    over = asyncio.Event()

    async def hang(_: object) -> int:
        await over.wait()
        return 204

    hook.receiver.answer = hang
    await open_alert(owner, hook.name)
    async with open_session(only_public=False) as session:
        async with Outbox(database, session, None) as first:
            delivering = asyncio.create_task(first.deliver())
            await hook.receiver.wait_for(len)
            delivering.cancel()
        over.set()
        async with Outbox(database, session, None) as second:
            await drain(second)
            assert len(hook.receiver.received) == 1, "the lease of the first still holds"
            await owner.execute(DUE, hook.name)
            await drain(second)
    first_id, second_id = (request.headers["webhook-id"] for request in hook.receiver.received)
    assert first_id == second_id


async def test_a_webhook_that_leads_into_the_own_network_gets_nothing(
    owner: Owner, database: Database, hook: Hook
) -> None:
    await open_alert(owner, hook.name)
    async with open_session(only_public=True) as session, Outbox(database, session, None) as outbox:
        await drain(outbox)
    assert hook.receiver.received == []
    error = await owner.fetchval("SELECT last_error FROM ops.webhook WHERE name = $1", hook.name)
    assert "is not a public address: ENERGY_WEBHOOK_PRIVATE=on" in error


async def test_a_message_that_cannot_be_sent_at_all_is_settled_and_blocks_no_other(
    owner: Owner, make_hook: MakeHook, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    broken, working = await make_hook(), await make_hook()
    await open_alert(owner, broken.name)
    await owner.execute("UPDATE ops.webhook_message SET alert = '{}' WHERE webhook_name = $1", broken.name)
    await drain(outbox)
    error = await owner.fetchval("SELECT last_error FROM ops.webhook WHERE name = $1", broken.name)
    assert error == "cannot be sent: KeyError"
    assert "cannot be sent" in caplog.text
    assert (broken.receiver.received, len(working.receiver.received)) == ([], 1)


@pytest.mark.concurrent
async def test_two_services_send_each_message_once(owner: Owner, test_database, hook: Hook) -> None:
    under_way: Counter[str] = Counter()
    clashes = []

    async def answer(request) -> int:
        webhook_id = request.headers["webhook-id"]
        under_way[webhook_id] += 1
        clashes.extend([webhook_id] * (under_way[webhook_id] > 1))
        await asyncio.sleep(0.01)
        under_way[webhook_id] -= 1
        return 204

    hook.receiver.answer = answer
    alerts = [await open_alert(owner, f"{hook.name}-{number}") for number in range(100)]
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(only_public=False))
        databases = [await stack.enter_async_context(pools_of(test_database)) for _ in range(2)]
        outboxes = [await stack.enter_async_context(Outbox(database, session, None)) for database in databases]
        while await owner.fetchval(LEFT, hook.name):
            await asyncio.gather(*(outbox.deliver() for outbox in outboxes))
    sent = [json.loads(request.body)["data"]["id"] for request in hook.receiver.received]
    assert sorted(sent) == alerts
    assert clashes == []
