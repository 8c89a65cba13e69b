"""What is logged, and how: JSON for programs or lines for people, with the id of the request, and one line for many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import structlog

from service.observability.request_id import REQUEST_ID

EVERY_S = 60.0
"""Of what happens again and again, the first is told at once, and how many followed once in this time."""


def configure_logging(level: str, style: str = "auto") -> None:
    """Log to standard error from `level` on: `json`, one object a line; `pretty`; `auto`: pretty on a terminal."""
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_request_id,
        structlog.stdlib.ExtraAdder(),
    ]
    if pretty:
        shared[0] = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp")
        last: list[Any] = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    else:
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _add_request_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    if request_id := REQUEST_ID.get():
        event["requestId"] = request_id
    return event


_Kind: TypeAlias = tuple[logging.Logger, int, str, tuple[tuple[str, str], ...]]
"""Logger, level, message, and the fields that tell its kinds apart."""


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class Repeated:
    """Logs what happens again and again: the first of a kind at once, those that follow as one line in `EVERY_S`."""

    def __init__(self, later: Callable[[float, Callable[[], None]], Any] | None = None) -> None:
        self._later = later or _later
        self._counts: dict[_Kind, int] = {}

    def log(self, logger: logging.Logger, level: int, message: str, number: int = 1, **fields: str) -> None:
        """Say, or count, that this happened so many times; `fields` tell its kinds apart."""
        if not logger.isEnabledFor(level):
            return
        kind = (logger, level, message, tuple(fields.items()))
        if kind in self._counts:
            self._counts[kind] += number
            return
        logger.log(level, message, extra={**fields, "times": number})
        self._count(kind)

    def _count(self, kind: _Kind) -> None:
        with contextlib.suppress(RuntimeError):  # without an event loop there is nobody to tell the number later
            self._later(EVERY_S, lambda: self._tell(kind))
            self._counts[kind] = 0

    def _tell(self, kind: _Kind) -> None:
        """Say how many followed, and go on counting; or forget it, if none did."""
        number = self._counts.pop(kind, 0)
        if number:
            logger, level, message, fields = kind
            token = REQUEST_ID.set("")  # of many requests, not of the one that began it
            logger.log(level, message, extra={**dict(fields), "times": number})
            REQUEST_ID.reset(token)
            self._count(kind)

    def flush(self) -> None:
        """Say what has been counted so far: the end is near."""
        for kind in list(self._counts):
            self._tell(kind)


REPEATED = Repeated()
"""Of this process."""
