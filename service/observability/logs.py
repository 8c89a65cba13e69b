"""Logging: JSON for programs or lines for people, with request ids; repeated messages are summarised."""

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
"""A repeated message is logged at once, then summarised once per this interval."""


def configure_logging(level: str, style: str = "auto") -> None:
    """Log to standard error from `level` on.

    Styles: `json`, one object a line; `pretty`; `auto`: pretty on a terminal, json elsewhere.
    """
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
"""Key of a repeated message: logger, level, message, and its fields."""


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class Repeated:
    """A logger of repeated messages: the first is logged at once, later ones are summarised every `EVERY_S`."""

    def __init__(self, later: Callable[[float, Callable[[], None]], Any] | None = None) -> None:
        self._later = later or _later
        self._counts: dict[_Kind, int] = {}

    def log(self, logger: logging.Logger, level: int, message: str, number: int = 1, **fields: str) -> None:
        """Log or count `number` occurrences of a message; `fields` are part of its key."""
        if not logger.isEnabledFor(level):
            return
        kind = (logger, level, message, tuple(fields.items()))
        if kind in self._counts:
            self._counts[kind] += number
            return
        logger.log(level, message, extra={**fields, "times": number})
        self._count(kind)

    def _count(self, kind: _Kind) -> None:
        with contextlib.suppress(RuntimeError):  # without an event loop there is no later summary
            self._later(EVERY_S, lambda: self._tell(kind))
            self._counts[kind] = 0

    def _tell(self, kind: _Kind) -> None:
        """Log the number of later occurrences and count on; forget the message if there are none."""
        number = self._counts.pop(kind, 0)
        if number:
            logger, level, message, fields = kind
            token = REQUEST_ID.set("")  # the summary is of many requests
            logger.log(level, message, extra={**dict(fields), "times": number})
            REQUEST_ID.reset(token)
            self._count(kind)

    def flush(self) -> None:
        """Log the summaries that are pending, at shutdown."""
        for kind in list(self._counts):
            self._tell(kind)


REPEATED = Repeated()
"""The one of this process."""
