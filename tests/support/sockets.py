"""Plain sockets to the service, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.support import Api


@contextlib.asynccontextmanager
async def connected(api: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port, limit=1 << 20)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of the next answer."""
    async with asyncio.timeout(10):
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        body = await reader.readexactly(int(headers["content-length"]))
    return int(line.split()[1]), headers, json.loads(body)


async def end(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the service closes the connection."""
    async with asyncio.timeout(10):
        return await reader.read()
