"""`energy keys create | list | rotate | revoke`: API keys of the HTTP service (`ENERGY_AUTH=required`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from service.commands.command import Group
from service.commands.database import ask_as_dba
from service.commands.options import DURATION, KIND, json_option
from service.commands.output import print_json, print_table

CREATE = "SELECT key_id, token, expires_at FROM ops.create_api_key(%s, %s, %s, %s, %s, %s)"
ROTATE = "SELECT key_id, token, expires_at FROM ops.rotate_api_key(%s, %s)"
REVOKE = "SELECT %s::text, ops.revoke_api_key(%s)"
LIST = """
    SELECT key_id, scope, kind, device_ids, id_prefix, note, created_at, expires_at, last_used_at, state
    FROM ops.api_key WHERE state = 'live' OR %s ORDER BY created_at, key_id
"""


@click.group("keys", cls=Group)
def keys() -> None:
    """API keys of the HTTP service. Needs a login that is a member of energy_dba (the service's own is not)."""


@keys.command(
    "create",
    examples=(
        "energy keys create --scope gateway --prefix '' --expires 365d --note 'north gateway'",
        "energy keys create --scope device --kind meter --device M001",
    ),
)
@click.option("--scope", required=True, type=click.Choice(["device", "gateway", "read", "admin"]), help="Its rights.")
@click.option("--kind", type=KIND, help="Kind of its devices.")
@click.option("--device", "devices", metavar="ID", multiple=True, help="A device it may send for; may be repeated.")
@click.option(
    "--prefix", metavar="TEXT", help="It may send for every device with such a beginning of its id ('' for all)."
)
@click.option("--expires", type=DURATION, help="Its lifetime: 90m, 24h, 365d. Without it, no end.")
@click.option("--note", default="", metavar="TEXT", help="Its owner, for the list.")
def create_command(  # noqa: PLR0913, PLR0917
    scope: str, kind: str | None, devices: tuple[str, ...], prefix: str | None, expires: timedelta | None, note: str
) -> None:
    """Make a key, and print its token, which is shown only once.

    device: posts readings of one device. gateway: of several. read: every GET. admin: everything.
    """
    ends = None if expires is None else datetime.now(UTC) + expires
    _print_token(_ask(CREATE, scope, kind, list(devices), prefix, ends, note)[0])


@keys.command("list", examples=("energy keys list --all", "energy keys list --json"))
@click.option("--all", "everything", is_flag=True, help="Also revoked and expired keys.")
@json_option
def list_command(everything: bool, as_json: bool) -> None:
    """Print the live keys, oldest first; never a secret."""
    found = _ask(LIST, everything)
    if as_json:
        for row in found:
            print_json(row._asdict())
        return
    rows = []
    for key, scope, kind, devices, prefix, note, created, expires, used, state in found:
        ids = [*devices[:3], *(["…"] if len(devices) > 3 else []), *([f"{prefix}*"] if prefix is not None else [])]
        meant = " ".join(filter(None, [kind or "", ", ".join(ids)]))
        rows.append((key, scope, meant or "-", state, _shown(created), _shown(expires), _shown(used), note))
    print_table(("key", "scope", "for", "state", "created", "expires", "used", "note"), rows, "no keys")


@keys.command("rotate", examples=("energy keys rotate ek_4f9a1c2b --keep 7d",))
@click.argument("key_id", metavar="KEY")
@click.option("--keep", type=DURATION, default="24h", show_default=True, help="How long the old key still holds.")
def rotate_command(key_id: str, keep: timedelta) -> None:
    """Make a key like KEY and print its token; KEY ends after a while."""
    _print_token(_ask(ROTATE, key_id, keep)[0])


@keys.command("revoke", examples=("energy keys revoke ek_4f9a1c2b",))
@click.argument("key_id", metavar="KEY")
def revoke_command(key_id: str) -> None:
    """End KEY for good; the service refuses it within 5 seconds."""
    key, revoked = _ask(REVOKE, key_id, key_id)[0]
    print(f"{key} is revoked since {_shown(revoked)}")


def _print_token(row: tuple[Any, ...]) -> None:
    key_id, token, expires = row
    print(f"key      {key_id}\nexpires  {_shown(expires)}\ntoken    {token}")
    click.echo("the token is not shown again; send it as: Authorization: Bearer TOKEN", err=True)


def _shown(time: datetime | None) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if time else "never"


def _ask(query: str, *arguments: Any) -> list[Any]:
    return ask_as_dba("manage keys", query, *arguments)
