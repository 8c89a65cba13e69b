"""Encoding of a text file: given, told by its byte order mark, or UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark -> encoding. Those of UTF-32 come first, as one begins like that of UTF-16."""
_UTF8 = {"utf-8", "utf-8-sig"}


def is_text_encoding(name: str) -> bool:
    """Return true for the name of an encoding of text."""
    try:
        return bool("a".encode(name))
    except (LookupError, UnicodeError, ValueError):
        return False


def find_encoding(content: io.BufferedReader, given: str | None) -> str:
    """Return the encoding of a text, as Python names it."""
    if given:
        name = codecs.lookup(given).name
        return "utf-8-sig" if name in _UTF8 else name
    beginning = content.peek(4)[:4]
    return next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), "utf-8")


def as_text(content: Any, encoding: str) -> io.TextIOWrapper:
    """Decode a text. Bytes that are invalid become a backslash escape, which no valid id has."""
    return io.TextIOWrapper(content, encoding=encoding, errors="backslashreplace", newline="")


def as_utf8(content: io.BufferedReader, encoding: str) -> io.BufferedReader:
    """Return a text as bytes of UTF-8; a text that is UTF-8 stays as it is."""
    if encoding in _UTF8:
        return content
    return io.BufferedReader(_Recoded(as_text(content, encoding)), 1 << 20)


class _Recoded(io.RawIOBase):
    """A decoded text as bytes of UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def close(self) -> None:
        self._text.close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # a character has at most 4 bytes
        piece = self._text.read(max(len(buffer) // 4, 1)).encode()
        buffer[: len(piece)] = piece
        return len(piece)
