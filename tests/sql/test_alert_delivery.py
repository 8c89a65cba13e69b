"""The outbox of the webhooks, and the leases of Alertmanagers, in SQL."""

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from service.database.calls import LEASE_ALERTMANAGER, LEASE_WEBHOOK_MESSAGES, LIST_CURRENT_ALERTS, SETTLE_ALERTMANAGER
from service.database.pool import Database
from tests.support import Owner, new_pair, now
from tests.support.delivery import CLOSE, REOPEN, open_alert

SET = "SELECT ops.set_webhook($1, $2, $3, $4, $5)"
QUEUED = "SELECT event FROM ops.webhook_message WHERE webhook_name = $1 ORDER BY message_id"
SETTLE = "SELECT api.settle_webhook_message($1, $2, $3)"
URL = "https://alerts.example/hook"
SECRET = "whsec_" + "A" * 32


@pytest.fixture
async def webhook(owner: Owner) -> AsyncIterator[str]:
    """The name of a webhook that one test has for itself."""
    name = new_pair().vehicle
    await owner.execute(SET, name, URL, None, True, SECRET)
    yield name
    await owner.execute("SELECT ops.remove_webhook($1)", name)


async def events(owner: Owner, webhook: str) -> list[str]:
    return [row["event"] for row in await owner.fetch(QUEUED, webhook)]


async def lease(database: Database) -> list[asyncpg.Record]:
    return await database.write_rows(LEASE_WEBHOOK_MESSAGES)


async def test_each_change_of_an_alert_is_queued_in_its_transaction(owner: Owner, webhook: str) -> None:
    alert = await open_alert(owner, webhook)
    for _ in range(2):  # repeated, it is no news
        await owner.execute("SELECT api.acknowledge_alert($1, 'me')", alert)
    await owner.execute("UPDATE telemetry.alert SET value = 0.5, last_seen_at = now() WHERE id = $1", alert)
    for statement in (CLOSE, REOPEN, CLOSE):
        await owner.execute(statement, alert)
    queued = ["opened", "acknowledged", "closed", "opened", "closed"]
    assert await events(owner, webhook) == queued
    async with owner.undone() as connection:
        await connection.execute(REOPEN, alert)
        assert len(await connection.fetch(QUEUED, webhook)) == 6
    assert await events(owner, webhook) == queued


async def test_an_alert_that_was_over_when_it_was_found_is_no_news(owner: Owner, webhook: str) -> None:
    await open_alert(owner, webhook, closed_at=now())
    assert await events(owner, webhook) == []


async def test_a_webhook_gets_its_severities_and_nothing_while_it_is_disabled(owner: Owner, webhook: str) -> None:
    await owner.execute(SET, webhook, URL, ["info", "critical"], True, None)
    for severity in ("info", "warning", "critical"):
        await open_alert(owner, f"{webhook}-{severity}", severity=severity)
    assert len(await events(owner, webhook)) == 2
    await owner.execute(SET, webhook, URL, None, False, None)
    await open_alert(owner, webhook)
    assert len(await events(owner, webhook)) == 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": None}, "name must be"),
        ({"name": "a b"}, "name must be 1 to 64 letters, digits"),
        ({"name": "a" * 65}, "name must be"),
        ({"url": None}, "url must be"),
        ({"url": "ftp://host/"}, "url must be an address as https://host/path"),
        ({"url": "https://user:password@host/"}, "without user and password"),
        ({"url": "https://host/a b"}, "url must be"),
        ({"url": "https:///path"}, "url must be"),
        ({"url": "https://host/" + "a" * 2048}, "at most 2048 characters"),
        ({"severities": []}, "severities must be some of info, warning and critical"),
        ({"severities": ["page"]}, "severities must be"),
        ({"severities": [None]}, "severities must be"),
        ({"enabled": None}, "is_enabled must be true or false"),
        ({"secret": "secret"}, "secret must be whsec_ and the base64 of 24 to 64 bytes"),
        ({"secret": "whsec_" + "A" * 31}, "secret must be"),
        ({"secret": "whsec_" + "A" * 28}, "secret must be"),
        ({"secret": "whsec_" + "A" * 92}, "secret must be"),
    ],
    ids=str,
)
async def test_a_webhook_that_makes_no_sense_is_refused_by_name(
    owner: Owner, changed: dict[str, Any], words: str
) -> None:
    given = {"name": "wrong", "url": URL, "severities": None, "enabled": True, "secret": None} | changed
    with pytest.raises(asyncpg.PostgresError, match=words) as refused:
        await owner.execute(SET, *given.values())
    assert refused.value.sqlstate == "IE004"
    assert "A" * 28 not in str(refused.value)


async def test_a_secret_of_256_bits_is_made_kept_and_hidden(owner: Owner, webhook: str) -> None:
    other = f"{webhook}-2"
    made = await owner.fetchval(SET, other, URL, None, True, None)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made)
    assert await owner.fetchval(SET, other, "https://elsewhere.example", ["info"], True, None) == made
    assert await owner.fetchval("SELECT ops.get_webhook_secret($1)", other) == made
    assert await owner.fetchval(SET, other, URL, None, True, SECRET) == SECRET
    shown = await owner.fetch("SELECT w::text AS row FROM ops.webhook AS w")
    assert not [row for row in shown if "whsec_" in row["row"]]
    await owner.execute("SELECT ops.remove_webhook($1)", other)
    for function in ("remove_webhook", "get_webhook_secret"):
        with pytest.raises(asyncpg.PostgresError, match=f"there is no webhook {other}"):
            await owner.execute(f"SELECT ops.{function}($1)", other)


async def test_of_a_webhook_five_messages_are_leased_at_most_and_of_an_alert_one_after_the_other(
    owner: Owner, database: Database, webhook: str
) -> None:
    first = await open_alert(owner, webhook)
    await owner.execute(CLOSE, first)
    for number in range(6):
        await open_alert(owner, f"{webhook}-{number}")
    leased = await lease(database)
    assert [(row["event"], row["attempts"]) for row in leased] == [("opened", 1)] * 5
    assert {(row["url"], row["secret"]) for row in leased} == {(URL, SECRET)}
    assert await lease(database) == []
    opened = min(leased, key=lambda row: row["message_id"])
    await owner.execute(SETTLE, opened["message_id"], 1, None)
    assert [row["event"] for row in await lease(database)] == ["closed"]


async def test_a_lease_that_ends_makes_the_message_due_with_the_same_id(
    owner: Owner, database: Database, webhook: str
) -> None:
    await open_alert(owner, webhook)
    [first] = await lease(database)
    await owner.execute("UPDATE ops.webhook_message SET leased_until = now() WHERE webhook_name = $1", webhook)
    [second] = await lease(database)
    assert (second["webhook_id"], second["alert"]) == (first["webhook_id"], first["alert"])
    assert (first["attempts"], second["attempts"]) == (1, 2)
    # the first service wakes up again: its failure says nothing about the attempt that is under way
    await owner.execute(SETTLE, first["message_id"], 1, "failed")
    assert await lease(database) == []
    assert await owner.fetchval("SELECT last_error FROM ops.webhook_message WHERE webhook_name = $1", webhook) is None
    await owner.execute(SETTLE, first["message_id"], 1, None)  # its success does
    assert await events(owner, webhook) == []


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 5), (2, 10), (3, 20), (9, 1280), (10, 2560), (11, 3600), (2000, 3600)]
)
async def test_the_delay_doubles_up_to_an_hour_with_up_to_half_of_it_off(
    owner: Owner, database: Database, webhook: str, attempt: int, seconds: int
) -> None:
    await open_alert(owner, webhook)
    await owner.execute("UPDATE ops.webhook_message SET attempts = $2 WHERE webhook_name = $1", webhook, attempt - 1)
    [row] = await lease(database)
    async with owner.connection() as connection:
        delays = []
        for _ in range(20):
            async with connection.transaction():
                await connection.execute(SETTLE, row["message_id"], attempt, "failed")
                delays.append(
                    await connection.fetchval(
                        "UPDATE ops.webhook_message SET leased_until = now() WHERE message_id = $1 "
                        "RETURNING extract(EPOCH FROM due_at - now())::float8",
                        row["message_id"],
                    )
                )
    assert seconds / 2 <= min(delays) < max(delays) <= seconds
    assert await lease(database) == []


async def test_a_message_is_given_up_after_3_days_and_shown_for_30(
    owner: Owner, database: Database, webhook: str
) -> None:
    await open_alert(owner, webhook)
    age = "UPDATE ops.webhook_message SET created_at = now() - $2::interval, due_at = now() WHERE webhook_name = $1"
    state = "SELECT pending, given_up, last_error FROM ops.webhook WHERE name = $1"
    day, almost = 86_400, 3 * 86_400 - 60
    for seconds, expected in ((day, (1, 0)), (almost, (1, 0)), (3 * day, (0, 1))):
        await owner.execute(age.replace("$2::interval", f"INTERVAL '{seconds} seconds'"), webhook)
        [row] = await lease(database)
        await owner.execute(SETTLE, row["message_id"], row["attempts"], "answered 500")
        [found] = await owner.fetch(state, webhook)
        assert tuple(found) == (*expected, "answered 500")
    await owner.execute("UPDATE ops.webhook_message SET due_at = now() WHERE webhook_name = $1", webhook)
    assert await lease(database) == []
    findings = await owner.fetch("SELECT finding FROM ops.diagnose() WHERE topic = 'alerts' AND is_fault")
    assert [row for row in findings if webhook in row["finding"] and "given up" in row["finding"]]
    given_up = "UPDATE ops.webhook_message SET given_up_at = now() - INTERVAL '{}' WHERE webhook_name = $1"
    await owner.execute(given_up.format("29 days"), webhook)
    await lease(database)
    assert await events(owner, webhook) == ["opened"]
    await owner.execute(given_up.format("30 days 1 second"), webhook)
    await lease(database)
    assert await events(owner, webhook) == []


async def test_an_alertmanager_is_fed_by_one_service_at_a_time_and_since_before_its_last_success(
    owner: Owner, database: Database
) -> None:
    address = f"http://{new_pair().vehicle}:9093"
    ask = lambda: database.write_rows(LEASE_ALERTMANAGER, address)  # noqa: E731
    row = "SELECT extract(EPOCH FROM now() - ${}::timestamptz)::float8"
    [first] = await ask()
    assert await owner.fetchval(row.format(1), first["closed_since"]) == pytest.approx(900, abs=5)
    assert [row["closed_since"] for row in await ask()] == [None], "leased"
    await database.write_rows(SETTLE_ALERTMANAGER, address, "answered 500")
    assert [row["closed_since"] for row in await ask()] == [None], "not due for 30 s"
    behind = "UPDATE ops.alertmanager SET due_at = now(), sent_at = now() - INTERVAL '{}' WHERE address = $1"
    for age, seconds in (("2 hours", 7200 + 900), ("9 days", 3 * 86_400)):
        await owner.execute(behind.format(age), address)
        [again] = await ask()
        assert await owner.fetchval(row.format(1), again["closed_since"]) == pytest.approx(seconds, abs=5)
    await owner.execute("DELETE FROM ops.alertmanager WHERE address = $1", address)


async def test_the_current_alerts_are_the_open_ones_and_those_that_were_closed_lately(
    owner: Owner, database: Database
) -> None:
    device = new_pair().vehicle
    numbers = [await open_alert(owner, f"{device}-{name}") for name in ("open", "closed", "earlier", "reopened")]
    for number in numbers[1:]:
        await owner.execute(CLOSE, number)
    # the times of the data say nothing about when the service learnt of them
    await owner.execute(
        "UPDATE telemetry.alert SET closed_at = '2020-01-01Z', opened_at = '2019-01-01Z' WHERE id = $1", numbers[1]
    )
    await owner.execute(
        "UPDATE telemetry.alert SET close_noted_at = now() - INTERVAL '1 hour' WHERE id = $1", numbers[2]
    )
    await owner.execute(REOPEN, numbers[3])
    since = await owner.fetchval("SELECT now() - INTERVAL '15 minutes'")
    rows = await database.write_rows(LIST_CURRENT_ALERTS, since, numbers[0] - 1, 100)
    assert [row["id"] for row in rows if row["id"] in numbers] == [numbers[0], numbers[1], numbers[3]]
    assert [row["id"] for row in await database.write_rows(LIST_CURRENT_ALERTS, since, numbers[0], 1)] == [numbers[1]]
