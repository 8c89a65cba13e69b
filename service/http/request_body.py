"""Request bodies: reading, decompression within one size limit, and removal of a byte order mark."""

from __future__ import annotations

import asyncio
import codecs
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from litestar import Request

from service.errors import Problem
from service.readings.decode_errors import MOST_READING_BYTES, UNDECODABLE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from litestar.types import Receive, Scope

_LONGEST_WINDOW = 23
"""Largest window of a zstd frame, as a power of two: 8 MiB, as RFC 8878 asks of every decoder. Frames that need more
memory are rejected."""


def header(scope: Scope, name: bytes) -> str:
    """Return the value of a header without its parameters, in lower case; empty if absent.

    `name` is in lower case.
    """
    for key, value in scope["headers"]:
        if key == name:
            return value.partition(b";")[0].strip().lower().decode("latin-1")
    return ""


MOST_MEMBERS = 100
"""Members of gzip or frames of zstd in a body, one after the other. Each costs time, also where it is empty."""
UNPACKED_AT_ONCE = 16 * 1024
"""A packed body of at most this many bytes is unpacked within the event loop; a longer one, in a thread."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the body, unpacked and without its byte order mark; packed and unpacked it has at most `limit` bytes.

    Raises:
        Problem: it is longer, is not packed as it says, or the client disconnected.
    """
    if (length := header(scope, b"content-length")) and int(length) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    found = 0
    more = True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("http_invalid", "the client went away before its body was complete")
        parts.append(message.get("body", b""))
        found += len(parts[-1])
        if found > limit:
            raise too_large(limit)
        more = message.get("more_body", False)
    body = b"".join(parts)
    if coding := header(scope, b"content-encoding"):
        if len(body) <= UNPACKED_AT_ONCE:
            body = _unpack(body, coding, limit)
        else:
            body = await asyncio.to_thread(_unpack, body, coding, limit)
    return body.removeprefix(codecs.BOM_UTF8)


T = TypeVar("T")


async def read_json(request: Request[Any, Any, Any], type_: type[T], limit: int) -> T:
    """Read a JSON body of at most `limit` bytes as `type_`.

    Raises:
        Problem: it does not match; the detail names the field.
    """
    if header(request.scope, b"content-type") != "application/json":
        raise Problem("media_type_unsupported", "send it as Content-Type: application/json")
    try:
        return msgspec.json.decode(await read_body(request.scope, request.receive, limit), type=type_)
    except msgspec.ValidationError as error:
        raise Problem("parameter_invalid", str(error)) from None
    except UNDECODABLE as error:
        raise Problem("body_malformed", f"the body is not JSON: {error}") from None


def _new_gzip() -> Any:
    return zlib.decompressobj(wbits=31)  # the largest window, in gzip's form


def _new_zstd() -> Any:
    return zstd.ZstdDecompressor(options={int(zstd.DecompressionParameter.window_log_max): _LONGEST_WINDOW})


_MEMBERS: dict[str, Callable[[], Any]] = {"gzip": _new_gzip, "x-gzip": _new_gzip, "zstd": _new_zstd}


def _unpack(body: bytes, coding: str, limit: int) -> bytes:
    """Decompress a body (gzip, zstd, or none). It stops at `limit` bytes.

    Raises:
        Problem: it is longer, is invalid, has more than `MOST_MEMBERS`, or has another coding.
    """
    if coding in {"", "identity"}:
        return body
    new_member = _MEMBERS.get(coding)
    if new_member is None:
        raise Problem("media_type_unsupported", f"Content-Encoding must be gzip or zstd, not {coding[:64]!r}")
    content: bytes = b""
    rest = body
    member: Any
    try:
        for _ in range(MOST_MEMBERS):
            member = new_member()
            content = content + member.decompress(rest, limit + 1 - len(content))
            if len(content) > limit:
                raise too_large(limit)
            if not member.eof:
                raise Problem("body_malformed", f"the body is not valid {coding}: it ends too early")
            if not (rest := member.unused_data):
                return content
    except (zlib.error, zstd.ZstdError) as error:
        raise Problem("body_malformed", f"the body is not valid {coding}: {error}") from None
    raise Problem("body_malformed", f"the body has more than {MOST_MEMBERS} members or frames of {coding}")


def too_large(limit: int) -> Problem:
    """Return the problem of a body longer than `limit`, compressed or not."""
    what = "the most of a reading" if limit == MOST_READING_BYTES else "ENERGY_MAX_BODY_BYTES"
    return Problem("body_too_large", f"the body is longer than {limit} bytes ({what})")
