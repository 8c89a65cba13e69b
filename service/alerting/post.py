"""POST to a receiver that is not trusted: times, redirects and answers are bounded."""

from __future__ import annotations

import os

import aiohttp

from service import __version__
from service.alerting.addresses import make_public_socket
from service.errors import first_line

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 15.0
"""Limit of a whole request. The lease of a message (1 minute) is longer."""
MOST_ANSWER_BYTES = 1024
"""Bytes of an answer that are read; the rest is left, and the connection closed."""


class DeliveryError(Exception):
    """A receiver that did not accept. The message has no secret of its URL."""


def open_session(*, only_public: bool) -> aiohttp.ClientSession:
    """Open a session of HTTP requests; `only_public` refuses every address that is not on the internet."""
    connector = aiohttp.TCPConnector(
        limit_per_host=10, use_dns_cache=False, socket_factory=make_public_socket if only_public else None
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"energy/{__version__}", "Content-Type": "application/json"},
        auto_decompress=False,
    )


async def post(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str] | None = None) -> str:
    """POST a JSON body, and return the answer: its status, and the beginning of its text.

    Raises:
        DeliveryError: no answer within `TIMEOUT_S`, or one other than 2xx; redirects are not followed.
    """
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            text = (await response.content.read(MOST_ANSWER_BYTES)).decode(errors="replace")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise DeliveryError(_describe(error)) from None
    answer = f"{response.status} {' '.join(text.split())}".strip()[:200]
    if not 200 <= response.status < 300:
        raise DeliveryError(f"answered {answer}")
    return answer


def _describe(error: Exception) -> str:
    """Describe a failed request without its URL, which may have a token."""
    match error:
        case TimeoutError():
            return f"no answer within {TIMEOUT_S:g} s"
        case aiohttp.ClientConnectorError(os_error=ConnectionError(errno=int(number))):
            return f"cannot connect: {os.strerror(number)}"  # asyncio and uvloop have words of their own
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {first_line(error.os_error)}"
        case ValueError():
            return "the URL is invalid"
    return f"the connection failed: {type(error).__name__}"
