"""The id of a request: the client's or made here; in its answer, and in every line that is logged meanwhile."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; empty outside of one."""

_PREFIX = secrets.token_hex(6)
_numbers = itertools.count(1)
# nothing that could break a log line or a header
_is_id = re.compile(rb"[A-Za-z0-9._:-]{1,64}").fullmatch


def request_id(given: bytes) -> bytes:
    """The id that the client gave, if it is one, else a new one."""
    return given if _is_id(given) else f"{_PREFIX}-{next(_numbers):x}".encode()


class RequestIdFilter(logging.Filter):
    """Gives every log record the id of the request in which it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never holds a record back."""
        found = REQUEST_ID.get()
        record.request = f" [{found}]" if found else ""
        return True
