"""The servers that are measured side by side, one process each: `python -m bench.servers KIND URL PORT CONNECTIONS`.

service      the application as `energy serve` runs it
bare         an ASGI callable of a few lines, with the same decoder and the same coalescer: the ceiling of Python
uncoalesced  the application, with one transaction a request
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any

import asyncpg
import uvicorn
import uvloop

from service.app import create_app
from service.db import Database, open_database
from service.readings import METER
from service.serve import SERVER_OPTIONS
from service.settings import Settings


def bare_app(database: Database) -> Any:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"20")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        [(outcome, _)] = await database.ingest(METER.ingest, [METER.decode(body).to_row(scope["client"][0])])
        if outcome != "stored":
            raise ValueError(outcome)
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"outcome":"stored"}'})

    return app


class Uncoalesced(Database):
    async def ingest(self, query: str, rows: list[Any]) -> Sequence[asyncpg.Record]:
        return await self.write_rows(query, rows)


async def run(kind: str, url: str, port: int, connections: int) -> None:
    async with open_database(url, connections=connections) as database:
        if kind == "bare":
            app = bare_app(database)
        elif kind == "uncoalesced":
            app = create_app(Uncoalesced(database.write, database.read, Settings.max_pending), Settings())
        else:
            app = create_app(database, Settings())
        listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        await uvicorn.Server(uvicorn.Config(app, lifespan="off", **SERVER_OPTIONS)).serve(sockets=[listener])


if __name__ == "__main__":
    kind, url, port, connections = sys.argv[1:]
    uvloop.run(run(kind, url, int(port), int(connections)))
