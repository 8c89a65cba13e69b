"""Serving: takes the port, opens the database, serves until stopped, and cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, NamedTuple

import click
import uvloop

from service.alerting.delivery import deliver_alerts
from service.commands.command import Command
from service.database.pool import CONNECTIONS, open_database
from service.embedded import EmbeddedDatabase
from service.embedded.jobs import run_jobs
from service.errors import StartupError
from service.http.server import BACKLOG, Server, run_workers
from service.observability.logs import configure_logging
from service.settings import Settings, load_settings
from service.startup import Prepared, prepared_database


class Company(NamedTuple):
    """Additional work of a serving process.

    Attributes:
        before: called with the database, before it is served.
        beside: run with the address, while it is served.
    """

    before: Callable[[Prepared], None]
    beside: Callable[[str], Coroutine[Any, Any, None]]


@click.command(
    "serve",
    cls=Command,
    examples=("energy serve --migrate", "DATABASE_URL=postgresql://energy_app@db/energy energy serve --port 8080"),
    statuses={0: "stopped by SIGINT (Ctrl-C) or SIGTERM", 130: "interrupted before it served"},
)
@click.option("--migrate", "migrate_first", is_flag=True, help="Bring the schema up to date first.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on, before HOST.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on, before PORT.")
def serve_command(migrate_first: bool, **address: Any) -> None:
    """Serve HTTP until SIGINT or SIGTERM (the embedded database unless DATABASE_URL is set)."""
    settings = replace(load_settings(), **{name: value for name, value in address.items() if value})
    configure_logging(settings.log_level, settings.log_format)
    serve(settings, migrate_first=migrate_first)


def serve(settings: Settings, *, migrate_first: bool, company: Company | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `migrate_first` brings the schema up to date before.

    With company it is one process, whatever `settings.workers` says.

    Raises:
        StartupError: the service cannot start; the message says what to do.
    """
    # until the server takes over, SIGTERM ends the start as Ctrl-C does, through every clean-up
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # each connection is an open file, and many systems begin with a limit of 1,024
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):  # macOS says "unlimited" and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        _listen(settings) as listener,
        prepared_database(settings, migrate_first=migrate_first) as database,
    ):
        if company:
            company.before(database)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{settings.port}"
        announcement = f"database  {database.name}\nserving   {address}\ndocs      {address}/docs"
        if settings.workers > 1 and not company:
            run_workers(settings, listener, announcement)
        else:
            uvloop.run(_run(settings, database, listener, announcement, company and company.beside(address)))


def _listen(settings: Settings) -> socket.socket:
    """Bind the port, before everything that takes longer."""
    host, port = settings.host, settings.port
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        if settings.auth == "off" and not ipaddress.ip_address(address[0]).is_loopback:
            raise StartupError(
                f"ENERGY_AUTH is off, and HOST is {host[:64]!r}, which others may reach: "
                "set ENERGY_AUTH=required, or HOST=127.0.0.1"
            )
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # UnicodeError: an impossible host name
        reason = getattr(error, "strerror", None) or "not a host name"
        raise StartupError(
            f"cannot listen on {host[:64]!r} port {port} ({reason}): "
            "stop what uses it, or set HOST and PORT to something else"
        ) from error
    return listener


async def _run(
    settings: Settings,
    prepared: Prepared,
    listener: socket.socket,
    announcement: str,
    beside: Coroutine[Any, Any, None] | None,
) -> None:
    """Serve in this process, with the delivery of alerts, the jobs of the embedded database, and the company beside."""
    embedded = prepared.embedded
    connections = 1 if embedded else CONNECTIONS
    async with open_database(
        prepared.url, read_url=settings.database_read_url, connections=connections, max_pending=settings.max_pending
    ) as database:
        server = Server(database, settings, announcement)
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, server.stop)
        works = [deliver_alerts(database, settings)]
        works += [_watch(embedded, server), run_jobs(database)] if embedded else []
        tasks = [asyncio.create_task(work) for work in (*works, *([beside] if beside else []))]
        await server.serve(sockets=[listener])
        for task in tasks:
            if not task.cancel():
                task.result()  # it ended by itself; an error of the database comes first


async def _watch(embedded: EmbeddedDatabase, server: Server) -> None:
    """Stop the service when its embedded database ends, as it cannot be restarted."""
    while embedded.process.poll() is None:  # noqa: ASYNC110 - a process has no event
        await asyncio.sleep(0.5)
    server.stop()
    raise StartupError(f"the embedded database ended (exit {embedded.process.returncode}): see {embedded.log}")
