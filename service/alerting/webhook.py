"""Messages to webhooks, signed as Standard Webhooks has it (https://www.standardwebhooks.com)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from standardwebhooks import Webhook

from service.alerting.model import alert_of, page_of
from service.alerting.post import post


def encode_message(event: str, at: datetime, alert: dict[str, Any], public_url: str | None) -> bytes:
    """Return the body of a message: the alert as it was at the event (opened, acknowledged, closed or test)."""
    data = alert_of(alert)
    message = {"type": f"alert.{event}", "timestamp": at, "url": page_of(data, public_url), "data": data}
    return msgspec.json.encode(message)


async def send_message(session: aiohttp.ClientSession, url: str, secret: str, webhook_id: str, body: bytes) -> str:
    """Sign a message with the time of this attempt, send it, and return the receiver's answer.

    Raises:
        DeliveryError: the receiver does not answer, or refuses.
    """
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, now, body.decode())
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return await post(session, url, body, headers)
