"""`energy doctor`: facts and faults of settings and database."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import TypeAlias

import click

from service.commands.command import Command
from service.commands.options import json_option
from service.commands.output import print_json
from service.database.migrations import NEWEST_MIGRATION, check_applied, known_migrations
from service.database.server import Server, inspect_replica, inspect_server
from service.database_url import describe_url, mask_password
from service.embedded import InUseError, run_embedded
from service.embedded.install import has_charts
from service.errors import StartupError
from service.settings import Settings, load_settings, variable_of

Finding: TypeAlias = tuple[str, str]
"""A topic and a sentence about it."""


@click.command(
    "doctor",
    cls=Command,
    examples=("energy doctor", "energy doctor --json | jq -r 'select(.is_fault).finding'"),
    statuses={0: "nothing wrong found", 1: "something is wrong, or the database does not answer"},
)
@json_option
def doctor_command(as_json: bool) -> None:
    """Print database, versions, edition, migration state and settings, and what is wrong; exit 1 if anything is."""
    facts, faults = examine(load_settings())
    if as_json:
        for findings, is_fault in ((facts, False), (faults, True)):
            for topic, finding in findings:
                print_json({"topic": topic, "finding": finding, "is_fault": is_fault})
        sys.exit(1 if faults else 0)
    for topic, finding in facts:
        print(f"{topic:<12}{finding}")
    for topic, finding in faults:
        print(f"{'WRONG':<12}{topic}: {finding}")
    if not faults:
        print(f"{'ok':<12}nothing wrong found")
    sys.exit(1 if faults else 0)


def _setting(value: object) -> str:
    """Return the text of a setting as a variable of the environment has it, without its password."""
    texts = value if isinstance(value, tuple) else () if value is None else (str(value),)
    return ", ".join(map(mask_password, texts))


def examine(settings: Settings) -> tuple[list[Finding], list[Finding]]:
    """Examine settings and database without changing them.

    Returns:
        Facts and faults; a fault is a sentence with its remedy.
    """
    facts = [
        ("setting", f"{variable_of(name)}={_setting(value)}") for name, value in dataclasses.asdict(settings).items()
    ]
    if not has_charts():
        facts.append(("charts", "not installed, the dashboard has tables: `python -m service.embedded` installs them"))
    faults: list[Finding] = []
    try:
        known_migrations()
    except StartupError as error:
        return facts, [("migrations", str(error))]
    try:
        if settings.database_url:
            facts.insert(0, ("database", f"server at {describe_url(settings.database_url)}"))
            server = asyncio.run(inspect_server(settings.database_url))
        elif not (settings.data_dir / "pgdata").exists():
            facts.insert(
                0, ("database", f"embedded, not yet made (in {settings.data_dir} by the first `energy serve`)")
            )
            return facts, faults
        else:
            facts.insert(0, ("database", f"embedded, in {settings.data_dir}"))
            with run_embedded(settings.data_dir, patience_s=1) as embedded:
                server = asyncio.run(inspect_server(embedded.url))
    except InUseError:
        facts.append(("note", "a running service uses the embedded database: its /health/ready says how it is"))
        return facts, faults
    except StartupError as error:
        return facts, [("database", str(error))]

    facts[1:1] = [
        ("PostgreSQL", server.postgresql),
        ("TimescaleDB", f"{server.timescaledb or 'none'} ({server.edition})"),
        ("schema", f"{server.schema_version or 'none'} (this version: {NEWEST_MIGRATION})"),
        ("time zone", server.time_zone or "none yet"),
    ]
    if fault := server.fault():
        faults.append(("database", fault))
    _examine_schema(settings, server, facts, faults)
    _examine_replica(settings, facts, faults)
    for topic, finding, is_fault in server.findings:
        (faults if is_fault else facts).append((topic, finding))
    return facts, faults


def _examine_schema(settings: Settings, server: Server, facts: list[Finding], faults: list[Finding]) -> None:
    """Add facts and faults of the migrations and of the time zone that a database has."""
    if server.schema_version is None or server.schema_version < NEWEST_MIGRATION:
        faults.append(("schema", "it is behind this version, or hidden from this login: run `energy migrate`"))
    elif server.migrations:  # hidden from the service's login
        known = known_migrations()
        facts.insert(5, ("migrations", f"{len(server.migrations)} applied, {len(known)} known"))
        try:
            check_applied(known, server.migrations)
        except StartupError as error:
            faults.append(("migrations", str(error)))
    if settings.timezone and server.time_zone and settings.timezone != server.time_zone:
        days = f"ENERGY_TIMEZONE is {settings.timezone}, but the daily aggregates have the days of {server.time_zone}"
        faults.append(("time zone", f"{days}: `energy time-zone` makes them anew"))


def _examine_replica(settings: Settings, facts: list[Finding], faults: list[Finding]) -> None:
    """Add facts and faults of the replica, if there is one."""
    if not (settings.database_url and settings.database_read_url):
        return
    try:
        found, wrong = asyncio.run(inspect_replica(settings.database_url, settings.database_read_url))
    except StartupError as error:
        faults.append(("replica", str(error)))
        return
    facts.insert(1, ("replica", found))
    faults += [("replica", fault) for fault in wrong]
