"""Decode errors: the first fault of a body, by field name.

This is the cold half of decoding: it never runs for a good reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw

from service.errors import Problem

_Shape = TypeVar("_Shape")

_SPACE = " \t\n\r"
# finds the end of a value; numbers stay text, as they may be longer than Python converts
_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode


def explain(body: bytes, kind: str, types: Mapping[str, Any]) -> Problem:
    """Return the problem of a body that did not decode as a reading of this kind.

    `types` maps each wire name to its type.

    Raises:
        Problem: the body is no JSON object, or repeats a name.
    """
    fields = members(body)
    reject_duplicates(body)
    for name in types:
        if name not in fields:
            return Problem("field_missing", f"{name} is missing; a {kind} reading has {', '.join(types)}")
    for name in fields:
        if name not in types:
            return Problem("field_unknown", f"{name[:64]!r} is not a field; these are: {', '.join(types)}")
    for name, type_ in types.items():
        if problem := _explain_value(name, type_, fields[name]):
            return problem
    return Problem("body_malformed", "the body is not valid JSON")


def members(body: bytes) -> dict[str, Raw]:
    """Return the undecoded members of the JSON object `body`."""
    try:
        return _decode(body, dict[str, Raw])
    except msgspec.ValidationError:
        raise Problem("field_type_invalid", f"a reading is a JSON object, not {_json_type(body)}") from None


def elements(body: bytes) -> Iterator[bytes]:
    """Iterate over the undecoded elements of the JSON array `body`; the caller may stop early.

    Raises:
        Problem: it is no JSON array; raised when the fault is reached.
    """
    if not body.lstrip(_SPACE.encode()).startswith(b"["):
        try:
            _decode(body, list[Raw])
        except msgspec.ValidationError:
            raise Problem("body_malformed", f"a batch is a JSON array of readings, not {_json_type(body)}") from None
    try:
        text = body.decode()
        at = _after_space(text, text.index("[") + 1)
        more = not text.startswith("]", at)
        while more:
            _, end = _scan(text, at)
            yield text[at:end].encode()
            at = _after_space(text, end)
            if more := text.startswith(",", at):
                at = _after_space(text, at + 1)
        if text[at:].rstrip(_SPACE) != "]":
            raise json.JSONDecodeError("expected a comma, or the end of the array and of the body", text, at)
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Problem("body_malformed", "the body is not valid UTF-8") from None
    except json.JSONDecodeError as error:
        detail = f"the body is not valid JSON: {error.msg[:64]} (character {error.pos})"
        raise Problem("body_malformed", detail) from None


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _decode(body: bytes, shape: type[_Shape]) -> _Shape:
    if not body.strip():
        raise Problem("body_malformed", "the body is empty")
    try:
        body.decode()
        msgspec.json.decode(body, type=Raw)  # valid JSON, to its end
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Problem("body_malformed", "the body is not valid UTF-8") from None
    except msgspec.DecodeError as error:
        raise Problem("body_malformed", f"the body is not valid JSON: {error}") from None


def reject_duplicates(body: bytes) -> None:
    """Reject a repeated name in the JSON object `body`, as its value is ambiguous."""
    # numbers stay text, as they may be longer than Python converts
    try:
        pairs = json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise Problem("field_duplicate", f"{name[:64]!r} is there more than once")
        seen.add(name)


def _explain_value(name: str, type_: Any, raw: Raw) -> Problem | None:
    """Return the problem of one value, if any."""
    try:
        msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _json_type(bytes(raw))
    else:
        return None
    if datetime in get_args(type_):
        shown = bytes(raw)[:64].decode(errors="replace")
        return Problem(
            "timestamp_invalid", f"{name} must be an ISO 8601 time with an offset, as 2026-02-08T18:00:00Z, not {shown}"
        )
    if str in get_args(type_):
        return Problem("field_type_invalid", f"{name} must be a string, not {found}")
    if found == "a number":
        return Problem("value_out_of_range", f"{name} is a number too large to be stored")
    return Problem("field_type_invalid", f"{name} must be a number, not {found}")


def _json_type(text: bytes) -> str:
    """Name the type of the JSON value that begins `text`."""
    names = {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "a boolean", b"f": "a boolean", b"n": "null"}
    return names.get(text.lstrip()[:1], "a number")
