"""Runs the service: takes the port, brings up the database, serves until told to stop, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import uvicorn
import uvloop

from service.database.pool import CONNECTIONS, open_database
from service.embedded import EmbeddedDatabase
from service.embedded.jobs import run_jobs
from service.errors import StartupError
from service.http.app import create_app, spare_the_collector
from service.http.connection import GuardedProtocol
from service.http.server import run_workers
from service.observability.logs import REPEATED
from service.settings import Settings
from service.startup import Prepared, prepared_database

DRAIN_TIMEOUT_S = 20
"""Longer than a request may take: ACQUIRE_TIMEOUT_S and COMMAND_TIMEOUT_S."""
BACKLOG = 2048

SERVER_OPTIONS: dict[str, Any] = {
    "http": GuardedProtocol,
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    # else whoever is on this machine could name any sender, and have the allowance of each
    "proxy_headers": False,
    "timeout_graceful_shutdown": DRAIN_TIMEOUT_S,
}


class Company(NamedTuple):
    """What else is done in a process that serves.

    Attributes:
        before: with the database, before it is served.
        beside: with the address, while it is.
    """

    before: Callable[[Prepared], None]
    beside: Callable[[str], Coroutine[Any, Any, None]]


def serve(settings: Settings, *, migrate_first: bool, company: Company | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `migrate_first` brings the schema up to date before.

    With company it is one process, whatever `settings.workers` says.

    Raises:
        StartupError: something is missing; the message says what to do.
    """
    # until the server takes over, SIGTERM ends the start as Ctrl-C does: through every clean-up on the way out
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a connection is an open file, and many systems begin with 1,024 of those
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
            run_workers(settings, listener, announcement, SERVER_OPTIONS)
        else:
            uvloop.run(_run(settings, database, listener, announcement, company and company.beside(address)))


def _listen(settings: Settings) -> socket.socket:
    """Take the port; first of all, as everything else takes longer."""
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
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        reason = getattr(error, "strerror", None) or "not a host name"
        raise StartupError(
            f"cannot listen on {host[:64]!r} port {port} ({reason}): "
            "stop what uses it, or set HOST and PORT to something else"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that says where it is, and leaves the signals to us (its own would end the process at once)."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self.announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.announcement, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        REPEATED.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(
    settings: Settings,
    prepared: Prepared,
    listener: socket.socket,
    announcement: str,
    beside: Coroutine[Any, Any, None] | None,
) -> None:
    """Serve in this process, with everything else that is done in it meanwhile."""
    embedded = prepared.embedded
    connections = 1 if embedded else CONNECTIONS
    async with open_database(
        prepared.url, read_url=settings.database_read_url, connections=connections, max_pending=settings.max_pending
    ) as database:
        server = _Server(uvicorn.Config(create_app(database, settings), lifespan="off", **SERVER_OPTIONS), announcement)
        spare_the_collector()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, setattr, server, "should_exit", True)
        works = [_watch(embedded, server), run_jobs(database)] if embedded else []
        tasks = [asyncio.create_task(work) for work in (*works, *([beside] if beside else []))]
        await server.serve(sockets=[listener])
        for task in tasks:
            if not task.cancel():
                task.result()  # it ended by itself; an error of the database comes first


async def _watch(embedded: EmbeddedDatabase, server: uvicorn.Server) -> None:
    """End the service when its own database ends: nothing could bring that back."""
    while embedded.process.poll() is None:  # noqa: ASYNC110 - a process has no event
        await asyncio.sleep(0.5)
    server.should_exit = True
    raise StartupError(f"the embedded database ended (exit {embedded.process.returncode}): see {embedded.log}")
