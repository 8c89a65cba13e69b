"""Servers for comparison with the service, one process each: `python -m bench.servers bare | ungrouped`.

bare       an ASGI callable of a few lines, with the same decoder and the same group commit: the ceiling of Python
ungrouped  the application, with one transaction a request

They take their settings from the environment, as `energy serve` does.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any

import asyncpg
import uvicorn
import uvloop

from service.database.calls import GroupedCall
from service.database.pool import CONNECTIONS, Database, open_database
from service.http.app import create_app, spare_the_collector
from service.http.server import BACKLOG, server_options
from service.readings.model import METER
from service.settings import Settings, load_settings
from service.startup import prepared_database


def bare_app(database: Database) -> Any:
    """Answer a POST of one meter reading to any path."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"20")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        [(outcome, *_)] = await database.call_grouped(METER.ingest, [METER.decode(body).to_row(scope["client"][0])])
        if outcome != "stored":
            raise ValueError(outcome)
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"outcome":"stored"}'})

    return app


class Ungrouped(Database):
    """The database with a call and a commit for each request."""

    async def call_grouped(self, call: GroupedCall, rows: list[Any]) -> Sequence[asyncpg.Record]:
        """Return a record for each of `rows`."""
        return await self.write_rows(call.query, rows)


async def _run(kind: str, settings: Settings, url: str, connections: int) -> None:
    async with open_database(url, connections=connections) as database:
        if kind == "bare":
            app = bare_app(database)
        else:
            app = create_app(Ungrouped(database.write, None, settings.max_pending), settings)
        spare_the_collector()
        listener = socket.create_server((settings.host, settings.port), backlog=BACKLOG)
        print("serving", flush=True)
        await uvicorn.Server(uvicorn.Config(app, lifespan="off", **server_options(settings))).serve(sockets=[listener])


def main(kind: str) -> None:
    """Serve until SIGTERM."""
    settings = load_settings()
    with prepared_database(settings) as prepared:
        uvloop.run(_run(kind, settings, prepared.url, 1 if prepared.embedded else CONNECTIONS))


if __name__ == "__main__":
    main(sys.argv[1])
