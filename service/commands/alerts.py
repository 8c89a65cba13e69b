"""`energy alerts list | acknowledge | test | webhooks`: alerts of devices, and their delivery."""

from __future__ import annotations

import asyncio
import getpass
import sys
import uuid
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import Any

import click

from service.alerting.alertmanager import RULE_KINDS, TEST, describe_address, send_alerts
from service.alerting.model import alert_of
from service.alerting.post import DeliveryError, open_session
from service.alerting.webhook import encode_message, send_message
from service.commands.command import Group
from service.commands.database import ask_as_dba
from service.commands.options import KIND, json_option
from service.commands.output import print_json, print_table
from service.errors import StartupError
from service.settings import Settings, load_settings

SEVERITY = click.Choice(["info", "warning", "critical"])
LIST = "SELECT to_jsonb(a) FROM api.list_alerts(%s, %s, %s, %s, %s, NULL, %s) AS a"
ACKNOWLEDGE = "SELECT a.acknowledged_at, a.acknowledged_by FROM api.acknowledge_alert(%s, %s, %s) AS a"
LIST_WEBHOOKS = """
    SELECT name, url, severities, is_enabled, pending, oldest_pending_at, given_up, last_error
    FROM ops.webhook ORDER BY name
"""
LIST_RECEIVERS = "SELECT name, url, ops.get_webhook_secret(name) FROM ops.webhook WHERE is_enabled ORDER BY name"
SET_WEBHOOK = "SELECT ops.set_webhook(%s, %s, %s, %s, %s)"
REMOVE_WEBHOOK = "SELECT ops.remove_webhook(%s)"
GET_SECRET = "SELECT ops.get_webhook_secret(%s)"  # noqa: S105 - a query


def _this_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without this user in its list
        return "operator"


@click.group("alerts", cls=Group)
def alerts() -> None:
    """Alerts of devices, and their delivery. Needs a login that is a member of energy_dba."""


@alerts.command(
    "list", examples=("energy alerts list --severity critical", "energy alerts list --state all --device V001 --json")
)
@click.option("--state", type=click.Choice(["open", "closed", "all"]), default="open", show_default=True)
@click.option("--kind", type=KIND, help="Only devices of this kind.")
@click.option("--device", metavar="ID", help="Only this device.")
@click.option("--rule-kind", type=click.Choice(RULE_KINDS), help="Only this fault.")
@click.option("--severity", type=SEVERITY, help="Only this severity.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Newest this many.")
@json_option
def list_command(  # noqa: PLR0913, PLR0917
    state: str,
    kind: str | None,
    device: str | None,
    rule_kind: str | None,
    severity: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Print alerts, newest first."""
    rows = [row for (row,) in _ask(LIST, state, kind, device, rule_kind, severity, limit)]
    if as_json:
        for row in rows:
            print_json(row)
        return
    cells = [
        (
            *(str(row["id"]), row["severity"], row["rule_name"], f"{row['kind']} {row['device_id']}"),
            *(_shown(row[column]) for column in ("opened_at", "closed_at")),
            *(row["acknowledged_by"] or "-", row["reason"]),
        )
        for row in rows
    ]
    columns = ("number", "severity", "rule", "device", "opened", "closed", "acknowledged by", "why")
    print_table(columns, cells, "no alerts")


@alerts.command("acknowledge", examples=("energy alerts acknowledge 17 --note 'cable is ordered'",))
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@click.option("--note", metavar="TEXT", help="What is done about it.")
@click.option("--by", default=_this_user, metavar="NAME", help="Who looks after it (this user).")
def acknowledge_command(number: int, note: str | None, by: str) -> None:
    """Record that somebody looks after the alert NUMBER; the first acknowledgement stays."""
    at, who = _ask(ACKNOWLEDGE, number, by, note)[0]
    print(f"alert {number} is acknowledged by {who} since {_shown(at)}")


@alerts.command(
    "test",
    examples=("energy alerts test",),
    statuses={0: "every receiver accepted it", 1: "it failed; or a receiver did not accept it"},
)
def test_command() -> None:
    """Send a test alert to every Alertmanager and webhook, and print the answers; exit 1 if any does not accept."""
    settings = load_settings()
    receivers = _ask(LIST_RECEIVERS)
    if not receivers and not settings.alertmanager_url:
        raise StartupError(
            "nobody gets alerts: set ENERGY_ALERTMANAGER_URL, or see `energy alerts webhooks set --help`"
        )
    results = asyncio.run(_send_tests(settings, receivers))
    rows = [
        (way, receiver, "accepted" if accepted else "FAILED", answer) for way, receiver, accepted, answer in results
    ]
    print_table(("way", "receiver", "result", "answer"), rows, "")
    sys.exit(0 if all(accepted for _, _, accepted, _ in results) else 1)


async def _send_tests(settings: Settings, receivers: Iterable[tuple[Any, ...]]) -> list[tuple[str, str, bool, str]]:
    """Return way, receiver, success and answer of a test alert to each receiver."""
    alert = make_test_alert()
    async with (
        open_session(only_public=False) as anywhere,
        open_session(only_public=settings.webhook_private == "off") as public,
    ):
        body = encode_message(TEST, datetime.now(UTC), alert, settings.public_url)
        sends = [
            _try("alertmanager", describe_address(url), send_alerts(anywhere, url, [alert_of(alert)]))
            for url in settings.alertmanager_url
        ] + [
            _try("webhook", name, send_message(public, url, secret, f"msg_{uuid.uuid4().hex}", body))
            for name, url, secret in receivers
        ]
        return await asyncio.gather(*sends)


async def _try(way: str, receiver: str, sending: Awaitable[str]) -> tuple[str, str, bool, str]:
    try:
        return way, receiver, True, await sending
    except DeliveryError as error:
        return way, receiver, False, str(error)


def make_test_alert() -> dict[str, Any]:
    """Return an alert about no device, as a row of the database."""
    now = datetime.now(UTC)
    empty = ("closed_at", "close_reason", "value", "threshold", "energy_lost_kwh", "acknowledged_at")
    return {
        **dict.fromkeys((*empty, "acknowledged_by", "note")),
        **{"id": 0, "rule_name": TEST, "rule_kind": TEST, "kind": "meter", "device_id": "TEST", "severity": "info"},
        **{"opened_at": now, "last_seen_at": now, "details": {}},
        "reason": "A test of the delivery by `energy alerts test`; nothing is wrong",
    }


@alerts.group("webhooks")
def webhooks() -> None:
    """Receivers of alerts over HTTP, with signatures (Standard Webhooks)."""


@webhooks.command("list", examples=("energy alerts webhooks list --json",))
@json_option
def list_webhooks_command(as_json: bool) -> None:
    """Print the webhooks, never a secret."""
    names = ("name", "url", "severities", "is_enabled", "pending", "oldest_pending_at", "given_up", "last_error")
    rows = _ask(LIST_WEBHOOKS)
    if as_json:
        for row in rows:
            print_json(dict(zip(names, row, strict=True)))
        return
    cells = [
        (
            *(name, url, ", ".join(severities or ["all"]), "yes" if enabled else "no"),
            *(str(pending), _shown(oldest), str(given_up), error or "-"),
        )
        for name, url, severities, enabled, pending, oldest, given_up, error in rows
    ]
    columns = ("name", "url", "severities", "enabled", "pending", "oldest", "given up", "last error")
    print_table(columns, cells, "no webhooks")


@webhooks.command("set", examples=("energy alerts webhooks set night https://example.com/hook --severity critical",))
@click.argument("name")
@click.argument("url")
@click.option("--severity", "severities", type=SEVERITY, multiple=True, help="Only these; may be repeated.")
@click.option("--off", "is_off", is_flag=True, help="Queue and send nothing.")
@click.option("--secret", metavar="TEXT", help="whsec_ and base64. Without it, the known one or a new one.")
def set_webhook_command(name: str, url: str, severities: tuple[str, ...], is_off: bool, secret: str | None) -> None:
    """Make or change the webhook NAME, and print the secret with which its receiver verifies signatures."""
    print(_ask(SET_WEBHOOK, name, url, list(severities) or None, not is_off, secret)[0][0])


@webhooks.command("remove", examples=("energy alerts webhooks remove night",))
@click.argument("name")
def remove_webhook_command(name: str) -> None:
    """Remove the webhook NAME and its pending messages."""
    _ask(REMOVE_WEBHOOK, name)
    print(f"{name} is removed")


@webhooks.command("secret", examples=("energy alerts webhooks secret night",))
@click.argument("name")
def secret_command(name: str) -> None:
    """Print the secret of the webhook NAME."""
    print(_ask(GET_SECRET, name)[0][0])


def _ask(query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return ask_as_dba("manage alerts", query, *arguments)


def _shown(time: datetime | str | None) -> str:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if time else "-"
