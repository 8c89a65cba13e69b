"""Decode errors: the first fault of a body, by field name.

This is the slow half of decoding. Readings run through it if the prebuilt decoder does not read them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw

from service.errors import Problem
from service.readings.storable import storable_number
from service.readings.times import read_time

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of msgspec for a text that it cannot decode."""

_Shape = TypeVar("_Shape")

MOST_READING_BYTES = 64 * 1024
"""Longest reading on the wire: its decoding is one step, which nothing interrupts."""

_SPACE = " \t\n\r"
_SPACES = re.compile(f"[{_SPACE}]*+")
_PARTS = re.compile(r'[^"\\\[\]{},]*+(\\.?|["\[\]{},]|\Z)', re.DOTALL)
"""The characters of a JSON text that may begin or end a string or a value, each with all before it."""
_PARTS_A_STEP = 1000
_DEEPEST = 1000
"""Arrays and objects within each other, about as many as Python's scanner follows."""
_FLAT = re.compile(r'\{(?:[^{}\[\]"]++|"[^"\\]*+")*+\}')
"""A JSON object without values of several parts, as readings are: its end takes one call."""
_WORDS = re.compile(
    r"""
    "(?:[^"\\]++|\\.)*+"?  # a string, even one without an end, so that no part of it is scanned twice
    | (?<![\w.+-])[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?|ovf|\d\.\#\w+)(?![\w.])
    """,
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
"""Strings, which are kept, and words for NaN and infinity: of C, Python, JavaScript, Arduino (`ovf`), and of old
compilers of Microsoft (`1.#QNAN`)."""
# finds the end of a value; numbers stay text, as they may be longer than Python converts
_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode


def decode_fields(
    body: bytes, kind: str, types: Mapping[str, Any], optional: Collection[str], dropped: Container[str] = ()
) -> dict[str, Any]:
    """Decode the fields of a body that the decoder of its kind did not read; `types` maps each wire name to its type.

    `optional` names the fields that may be absent or null. A field in `dropped` is ignored, whatever its value.

    Raises:
        Problem: the body is not a reading of this kind; names the first field that is wrong.
    """
    fields = members(body)
    not_finite = reject_duplicates(body, dropped)
    for name in types:
        if name not in fields and name not in optional:
            raise Problem("field_missing", f"{name} is missing; a {kind} reading has {', '.join(types)}")
    for name in fields:
        if name not in types and name not in dropped:
            raise Problem("field_unknown", f"{name[:64]!r} is not a field; these are: {', '.join(types)}")
    return {
        name: _value(name, type_, fields[name], not_finite, is_optional=name in optional)
        for name, type_ in types.items()
        if name in fields
    }


def members(body: bytes) -> dict[str, Raw]:
    """Return the undecoded members of the JSON object `body`; a number that is not finite is another number there."""
    body = only_finite(body)
    try:
        return _decode(body, dict[str, Raw])
    except msgspec.ValidationError:
        raise Problem("field_type_invalid", f"a reading is a JSON object, not {_json_type(body)}") from None


def only_finite(body: bytes) -> bytes:
    """Replace each NaN and infinity, of any spelling, by a finite number of the same length."""
    try:
        return _replace_words(body.decode(), _digits).encode()
    except UnicodeDecodeError:
        return body


def _digits(word: str) -> str:
    return "1" * len(word)


def _replace_words(text: str, number: Callable[[str], str]) -> str:
    """Replace each word for NaN and infinity outside of strings by its `number`."""
    lower = text.lower()
    if not any(mark in lower for mark in ("nan", "inf", "ovf", "#")):
        return text
    return _WORDS.sub(lambda found: found[0] if found[0][0] == '"' else number(found[0]), text)


def elements(body: bytes) -> Iterator[bytes]:
    """Iterate over the undecoded elements of the JSON array `body`; the caller may stop early.

    An empty element is a step of a search that goes on. An element longer than `MOST_READING_BYTES` is cut, and still
    longer than that; nothing else is known of it.

    Raises:
        Problem: it is no JSON array; raised when the fault is reached.
    """
    if not body.lstrip(_SPACE.encode()).startswith(b"["):
        try:
            _decode(body, list[Raw])
        except msgspec.ValidationError:
            raise Problem("body_malformed", f"a batch is a JSON array of readings, not {_json_type(body)}") from None
    at = 0
    try:
        text = body.decode()
        at = _after_space(text, text.index("[") + 1)
        more = not text.startswith("]", at)
        while more:
            end = 0
            for end in _ends(text, at):
                if not end:
                    yield b""
            if end - at <= MOST_READING_BYTES:
                end = at + _length(text[at:end])
            yield text[at : min(end, at + MOST_READING_BYTES + 1)].encode()
            at = _after_space(text, end)
            if more := text.startswith(",", at):
                at = _after_space(text, at + 1)
        if text[at:].rstrip(_SPACE) != "]":
            raise json.JSONDecodeError("expected a comma, or the end of the array and of the body", text[at:], 0)
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Problem("body_malformed", "the body is not valid UTF-8") from None
    except json.JSONDecodeError as error:
        detail = f"the body is not valid JSON: {error.msg[:64]} (character {at + error.pos})"
        raise Problem("body_malformed", detail) from None


def _ends(text: str, at: int) -> Iterator[int]:
    """Find the end of the JSON value at `at`, by brackets and quotes alone; space may precede that end.

    It is the last item. Each 0 before it is a step: no call holds up the other requests of a process for long.
    """
    if flat := _FLAT.match(text, at, at + MOST_READING_BYTES):
        yield flat.end()
        return
    depth, is_string, end = 0, False, len(text)
    for count, part in enumerate(_PARTS.finditer(text, at)):
        mark = part[1]
        if mark == '"':
            is_string = not is_string
        elif is_string or not mark:
            pass
        elif mark in "[{":
            depth += 1
            if depth > _DEEPEST:
                raise RecursionError
        elif mark in "]}":
            depth -= 1
        if not is_string and mark and mark in ",]}" and depth <= 0:
            end = part.end() if mark != "," and not depth else part.start(1)
            break
        if count % _PARTS_A_STEP == _PARTS_A_STEP - 1:
            yield 0
    yield end


def _length(text: str) -> int:
    """Return the length of the JSON value that begins `text`; a word for NaN or infinity is a number there.

    Raises:
        json.JSONDecodeError: there is none.
    """
    with contextlib.suppress(json.JSONDecodeError):
        length = _scan(text, 0)[1]
        if not text.startswith(".#", length):  # as of 1.#INF
            return length
    return _scan(_replace_words(text, _digits), 0)[1]


def _after_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


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


def reject_duplicates(body: bytes, dropped: Container[str] = ()) -> set[str]:
    """Return the names in the JSON object `body` whose number is not finite.

    Raises:
        Problem: a name that is not in `dropped` is repeated, so its value is ambiguous.
    """
    # numbers stay text, as they may be longer than Python converts; so a float is one that is not finite
    try:
        text = _replace_words(body.decode(), lambda _: "NaN")
        pairs = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    seen = set()
    for name, _ in pairs:
        if name in seen and name not in dropped:
            raise Problem("field_duplicate", f"{name[:64]!r} is there more than once")
        seen.add(name)
    return {name for name, value in pairs if isinstance(value, float)}


def _value(name: str, type_: Any, raw: Raw, not_finite: set[str], *, is_optional: bool) -> Any:
    """Decode the value of a field; a measure (`is_optional`) may be null, or too large, which SQL ignores.

    Raises:
        Problem: it is of another type, is not finite, or is no time with an offset.
    """
    types = get_args(type_)
    if name in not_finite and float in types:
        raise Problem("value_not_finite", f"{name} must be a finite number")
    with contextlib.suppress(*UNDECODABLE):
        if datetime not in types:
            return msgspec.json.decode(raw, type=type_ | None if is_optional else type_)
        if (time := read_time(msgspec.json.decode(raw, type=str))) and time.tzinfo:
            return time
    found = _json_type(bytes(raw))
    if datetime in types:
        shown = "NaN" if name in not_finite else bytes(raw)[:64].decode(errors="replace")
        raise Problem(
            "timestamp_invalid", f"{name} must be an ISO 8601 time with an offset, as 2026-02-08T18:00:00Z, not {shown}"
        )
    if str in types:
        raise Problem("field_type_invalid", f"{name} must be a string, not {found}")
    if found == "a number":
        if is_optional:
            return storable_number(float(bytes(raw)))
        raise Problem("value_out_of_range", f"{name} is a number too large to be stored")
    raise Problem(
        "field_type_invalid", f"{name} must be {'a number or null' if is_optional else 'a number'}, not {found}"
    )


def _json_type(text: bytes) -> str:
    """Name the type of the JSON value that begins `text`."""
    names = {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "a boolean", b"f": "a boolean", b"n": "null"}
    return names.get(text.lstrip()[:1], "a number")
