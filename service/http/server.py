"""The HTTP server: uvicorn in this process, or in several on one port (`ENERGY_WORKERS`).

uvicorn's supervisor starts the workers, and replaces those that die or hang. They share nothing but the database,
which keeps them correct together. Each reads the settings from the environment it inherits.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from litestar import Litestar
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service.alerting.delivery import deliver_alerts
from service.database.pool import Database, open_database
from service.errors import StartupError
from service.http.app import create_app, spare_the_collector
from service.http.connection import GuardedProtocol
from service.http.routes.metrics import note_load_again_and_again
from service.observability.logs import REPEATED, configure_logging
from service.settings import Settings, load_settings

DRAIN_TIMEOUT_S = 20
"""Longer than the longest request: ACQUIRE_TIMEOUT_S and COMMAND_TIMEOUT_S together."""
START_TIMEOUT_S = 60.0
BACKLOG = 2048


class _SharedPort(socket.socket):
    """A port on which every worker listens with a socket of its own, so that the kernel spreads the connections.

    Workers that accept from one common socket get them by chance: of 64, one of two workers got 8. This object keeps
    the port and accepts nothing; in a worker that it is passed to, it arrives as a listening socket.
    """

    def __init__(self, family: int, address: Any) -> None:
        super().__init__(family)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.bind(address)

    def __reduce__(self) -> tuple[Any, ...]:
        return _listen, (self.family, self.getsockname())


def _listen(family: int, address: Any) -> socket.socket:
    port = _SharedPort(family, address)
    port.listen(BACKLOG)
    return port


def server_options(settings: Settings) -> dict[str, Any]:
    """Return the options of uvicorn, which every process that serves shares."""
    return {
        "http": GuardedProtocol,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # client_address.py does it: uvicorn would believe any client on this machine
        "proxy_headers": False,
        "timeout_keep_alive": settings.keep_alive_s,
        "timeout_graceful_shutdown": DRAIN_TIMEOUT_S,
    }


class Server(uvicorn.Server):
    """A uvicorn server in this process; it prints its address, and leaves the signals to its caller.

    uvicorn's own handlers would end the process at once.
    """

    def __init__(self, database: Database, settings: Settings, announcement: str) -> None:
        super().__init__(uvicorn.Config(create_app(database, settings), lifespan="off", **server_options(settings)))
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print the address."""
        spare_the_collector()
        await super().startup(sockets)
        print(self._announcement, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests under way, and log the summaries that wait."""
        await super().shutdown(sockets)
        REPEATED.flush()

    def stop(self) -> None:
        """Begin to shut down."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


class _Supervisor(Multiprocess):
    """uvicorn's supervisor: it prints the address once every worker serves, and drops the gauges of a replaced one."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, announcement: str) -> None:
        super().__init__(config, sockets=[listener])
        self._announcement = announcement

    def keep_subprocess_alive(self) -> None:
        """Replace dead workers. Their gauges are dropped, their counters are kept."""
        before = [process.pid for process in self.processes]
        super().keep_subprocess_alive()
        for pid in {*before} - {process.pid for process in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(START_TIMEOUT_S, self.should_exit) for process in self.processes):
            print(f"{self._announcement}\nworkers   {len(self.processes)}", flush=True)


def run_workers(settings: Settings, listener: socket.socket, announcement: str) -> None:
    """Serve on `listener`'s port in `settings.workers` processes until SIGINT or SIGTERM.

    Raises:
        StartupError: a worker could not start; it has printed the reason.
    """
    config = uvicorn.Config(
        "service.http.server:create_worker",
        factory=True,
        lifespan="on",
        workers=settings.workers,
        loop="uvloop",
        **server_options(settings),
    )
    if sys.platform == "linux":  # elsewhere the kernel gives all connections to one of the sockets
        family, address = listener.family, listener.getsockname()
        listener.close()
        listener = _SharedPort(family, address)
    supervisor = _Supervisor(config, listener, announcement)
    # files with the workers' metrics; the worker that is asked sums them, including those of dead workers
    with tempfile.TemporaryDirectory(prefix="energy-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise StartupError("a worker could not start: see its message above")


def create_worker() -> Litestar:
    """Build the application of one worker."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        watching = asyncio.create_task(_end_with_parent())
        # without a first connection: a replaced worker has to start while the database is away
        async with open_database(
            settings.database_url or "",
            read_url=settings.database_read_url,
            max_pending=settings.max_pending,
            connect=False,
        ) as database:
            app.state.database = database
            works = (note_load_again_and_again(database), deliver_alerts(database, settings))
            tasks = [asyncio.create_task(work) for work in works]
            spare_the_collector()
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        watching.cancel()
        REPEATED.flush()

    return create_app(None, settings, lifespan=lifespan)


async def _end_with_parent() -> None:
    """Stop when the supervisor is gone (killed, for example): this worker would never be stopped or replaced."""
    # not os.getppid(): the supervisor may have died before this line, and its pid may be another process now
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():  # noqa: ASYNC110 - the death of a parent has no event
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
