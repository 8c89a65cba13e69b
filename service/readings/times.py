"""Timestamps: parsing of ISO 8601 in every form that clients send."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec

_FORM = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d)"
    r"(?::?(\d\d)(?:[.,](\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)


def read_time(text: str) -> datetime | None:
    """Parse an ISO 8601 time; without an offset it is naive, and None if the text is no time.

    Beyond RFC 3339 these are read: no seconds, a decimal comma, 24:00, an offset without minutes, no hyphens or colons.
    """
    try:
        return msgspec.convert(text, datetime)
    except (msgspec.ValidationError, UnicodeEncodeError):
        form = _FORM.fullmatch(text)
    if form is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = form.groups(default="")
    clock = f"{minute}:{second or '00'}.{fraction or '0'}"
    ends_day = hour == "24" and not clock.strip("0:.")
    full_offset = offset + ":00" if len(offset) == len("+00") else offset
    try:
        time = msgspec.convert(f"{year}-{month}-{day}T{'00' if ends_day else hour}:{clock}{full_offset}", datetime)
        return time + timedelta(days=ends_day)
    except (msgspec.ValidationError, OverflowError):
        return None
