"""Request bodies: reading, decompression within one size limit, and removal of a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from litestar import Request

from service.errors import Problem
from service.readings.decode_errors import UNDECODABLE

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
    return _unpack(b"".join(parts), header(scope, b"content-encoding"), limit).removeprefix(codecs.BOM_UTF8)


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


def _unpack(body: bytes, coding: str, limit: int) -> bytes:
    """Decompress a body (gzip, zstd, or none). It stops at `limit` bytes.

    Raises:
        Problem: it is longer, is invalid, or has another coding.
    """
    if coding in {"", "identity"}:
        return body
    unpacked: gzip.GzipFile | zstd.ZstdFile
    try:
        if coding in {"gzip", "x-gzip"}:
            unpacked = gzip.GzipFile(fileobj=io.BytesIO(body))
        elif coding == "zstd":
            options = {int(zstd.DecompressionParameter.window_log_max): _LONGEST_WINDOW}
            unpacked = zstd.ZstdFile(io.BytesIO(body), options=options)
        else:
            raise Problem("media_type_unsupported", f"Content-Encoding must be gzip or zstd, not {coding[:64]!r}")
        with unpacked:
            content = unpacked.read(limit + 1)
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        raise Problem("body_malformed", f"the body is not valid {coding}: {error}") from None
    if len(content) > limit:
        raise too_large(limit)
    return content


def too_large(limit: int) -> Problem:
    """Return the problem of a body longer than `limit`, compressed or not."""
    return Problem("body_too_large", f"the body is longer than {limit} bytes (ENERGY_MAX_BODY_BYTES)")
