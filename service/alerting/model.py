"""An alert, as the API and the webhooks show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct


class Alert(Struct, rename="camel", frozen=True):
    """A fault of a device, found by a rule.

    `reason` has the numbers with their units. `closedAt` is null while the alert is open. `energyLostKwh` is null for
    rules that are not about efficiency.
    """

    id: int
    rule_name: str
    rule_kind: str
    kind: str
    device_id: str
    severity: str
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    close_reason: str | None
    value: float | None
    threshold: float | None
    reason: str
    details: dict[str, Any]
    energy_lost_kwh: float | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None


_FIELDS = msgspec.structs.fields(Alert)


def alert_of(row: Any) -> Alert:
    """Return the alert of a row of the database, or of the JSON object that a row became."""
    values = {field.encode_name: row[field.name] for field in _FIELDS}
    if isinstance(values["details"], str):
        values["details"] = msgspec.json.decode(values["details"])
    return msgspec.convert(values, Alert)


def page_of(alert: Alert, public_url: str | None) -> str | None:
    """Return the URL of the device's page in the dashboard; None without ENERGY_PUBLIC_URL."""
    return f"{public_url}/#/{alert.kind}/{quote(alert.device_id, safe='')}" if public_url else None
