"""Delivery of alerts, beside the requests: every worker takes leases, so that a message is sent once at a time.

No connection of the database is held while a receiver is waited for. A worker that is killed in between leaves a lease,
which ends by itself; then the message is sent again, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self

import aiohttp
import msgspec

from service.alerting.alertmanager import describe_address, send_alerts
from service.alerting.model import alert_of
from service.alerting.post import DeliveryError, open_session
from service.alerting.webhook import encode_message, send_message
from service.database.calls import (
    LEASE_ALERTMANAGER,
    LEASE_WEBHOOK_MESSAGES,
    LIST_CURRENT_ALERTS,
    SETTLE_ALERTMANAGER,
    SETTLE_WEBHOOK_MESSAGE,
)
from service.database.failures import describe_error
from service.database.pool import Database
from service.observability.logs import REPEATED
from service.observability.metrics import DELIVERIES
from service.settings import Settings

POLL_S = 5.0
"""Interval at which a worker asks for leases."""
ALERTS_A_REQUEST = 500

_log = logging.getLogger(__name__)


async def deliver_alerts(database: Database, settings: Settings) -> None:
    """Deliver alerts until cancelled."""
    async with (
        open_session(only_public=settings.webhook_private == "off") as public,
        open_session(only_public=False) as anywhere,
        Outbox(database, public, settings.public_url) as outbox,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_repeat(outbox.deliver))
        for url in settings.alertmanager_url:
            group.create_task(_repeat(partial(feed_alertmanager, database, anywhere, url, settings.public_url)))


async def _repeat(work: Callable[[], Awaitable[bool]]) -> None:
    """Run `work` every `POLL_S`, and at once again while it returns true; an error is logged, and never ends it."""
    while True:
        try:
            if await work():
                continue
        except Exception as error:
            REPEATED.log(_log, logging.WARNING, "alerts are not delivered", error=describe_error(error))
        await asyncio.sleep(POLL_S)


class Outbox:
    """The messages of this worker that are under way. Leaving the context cancels them."""

    def __init__(self, database: Database, session: aiohttp.ClientSession, public_url: str | None) -> None:
        self._database = database
        self._session = session
        self._public_url = public_url
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def deliver(self) -> bool:
        """Lease and send the due messages, and wait until one is settled; return false if there is nothing to do.

        A slow receiver keeps only its own few leases, so the messages to others go on.
        """
        for row in await self._database.write_rows(LEASE_WEBHOOK_MESSAGES):
            self._under_way.add(asyncio.create_task(self._send(row)))
        if not self._under_way:
            return False
        done, self._under_way = await asyncio.wait(self._under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return True

    async def _send(self, row: Any) -> None:
        error = None
        try:
            alert = msgspec.json.decode(row["alert"])
            body = encode_message(row["event"], row["created_at"], alert, self._public_url)
            await send_message(self._session, row["url"], row["secret"], row["webhook_id"], body)
        except DeliveryError as failure:
            error = str(failure)
        except Exception as failure:
            # a bug; unsettled, the message would be sent again every minute for ever
            _log.exception("a message to webhook %s cannot be sent", row["webhook_name"])
            error = f"cannot be sent: {type(failure).__name__}"
        _count("webhook", row["webhook_name"], error)
        await self._database.write_rows(SETTLE_WEBHOOK_MESSAGE, row["message_id"], row["attempts"], error)


async def feed_alertmanager(
    database: Database, session: aiohttp.ClientSession, url: str, public_url: str | None
) -> bool:
    """Send one Alertmanager the open alerts and the lately closed ones, if that is due and no other worker does so.

    Return false: it is not due again at once.
    """
    address = describe_address(url)
    [row] = await database.write_rows(LEASE_ALERTMANAGER, address)
    if row["closed_since"] is None:
        return False
    error, last = None, 0
    try:
        while rows := await database.write_rows(LIST_CURRENT_ALERTS, row["closed_since"], last, ALERTS_A_REQUEST):
            await send_alerts(session, url, [alert_of(alert) for alert in rows], public_url)
            last = rows[-1]["id"]
    except DeliveryError as failure:
        error = str(failure)
    _count("alertmanager", address, error)
    await database.write_rows(SETTLE_ALERTMANAGER, address, error)
    return False


def _count(way: str, receiver: str, error: str | None) -> None:
    DELIVERIES.labels(way, "failed" if error else "ok").inc()
    if error:
        REPEATED.log(_log, logging.WARNING, "alerts not accepted", way=way, receiver=receiver, error=error)
