"""Alerts for Prometheus Alertmanager, in its API v2.

Alertmanager keeps no alerts over a restart, so that a client repeats them. Every `SEND_EVERY_S` it is sent all open
alerts, and for `HOLDS` those that were closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from service.alerting.model import Alert, page_of
from service.alerting.post import post

HOLDS = timedelta(minutes=15)
"""An open alert ends by itself in Alertmanager this long after it was last sent: when no service runs any more."""

TEST = "test"
NAMES = {
    "efficiency_low": ("EnergyEfficiencyLow", "low efficiency"),
    "efficiency_impossible": ("EnergyEfficiencyImpossible", "impossible efficiency"),
    "charger_fading": ("EnergyChargerFading", "efficiency falling for days"),
    "device_silent": ("EnergyDeviceSilent", "no readings"),
    "battery_hot": ("EnergyBatteryHot", "hot battery"),
    "voltage_outside": ("EnergyVoltageOutside", "voltage outside its band"),
    "data_incomplete": ("EnergyDataIncomplete", "readings missing"),
    "readings_rejected": ("EnergyDeviceReadingsRejected", "many readings rejected"),
    "standby_high": ("EnergyStandbyHigh", "high standby consumption"),
    TEST: ("EnergyTest", "test of the delivery"),
}
"""Kind of rule -> the alert's name in Alertmanager, and its summary."""
RULE_KINDS = tuple(kind for kind in NAMES if kind != TEST)


def describe_address(url: str) -> str:
    """Return the URL of an Alertmanager without user and password."""
    return str(URL(url).with_user(None)).rstrip("/")


def translate(alert: Alert, public_url: str | None, now: datetime) -> dict[str, Any]:
    """Return an alert as Alertmanager takes it. Its labels identify it: they stay the same until it is closed."""
    # a newer version of the database may know more kinds
    name, summary = NAMES.get(alert.rule_kind, ("EnergyDeviceFault", alert.rule_kind.replace("_", " ")))
    annotations = {
        "summary": f"{summary[0].upper()}{summary[1:]}: {alert.kind} {alert.device_id}",
        "description": alert.reason,
        "value": "" if alert.value is None else f"{alert.value:g}",
    }
    page = page_of(alert, public_url)
    return {
        "labels": {
            "alertname": name,
            "severity": alert.severity,
            "kind": alert.kind,
            "device_id": alert.device_id,
            "rule": alert.rule_name,
        },
        "annotations": annotations,
        "startsAt": alert.opened_at,
        # an end before the start is invalid, and one in the future leaves the alert open
        "endsAt": max(alert.opened_at, min(alert.closed_at, now)) if alert.closed_at else now + HOLDS,
        **({"generatorURL": page} if page else {}),
    }


async def send_alerts(
    session: aiohttp.ClientSession, url: str, alerts: Sequence[Alert], public_url: str | None = None
) -> str:
    """Send alerts to an Alertmanager, and return its answer.

    Raises:
        DeliveryError: it does not answer, or refuses.
    """
    now = datetime.now(UTC)
    body = msgspec.json.encode([translate(alert, public_url, now) for alert in alerts])
    return await post(session, f"{url.rstrip('/')}/api/v2/alerts", body)
