"""What is counted of the coalesced calls: once a call, not once a reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from service.observability.metrics import CALL_DURATION, CALL_READINGS, OVERLOADS, count_readings

if TYPE_CHECKING:
    from service.database.group_commit import Row


class CallObserver:
    """Is told of the coalesced calls of a query.

    Attributes:
        stream: whose readings they store; None for other calls.
        time_at: the position of the time in a row; None where rows have none.
    """

    stream: str | None = None
    time_at: int | None = None

    def called(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """A call with these rows was committed after so long, and answered these records."""

    def overloaded(self) -> None:
        """A request was refused, as too much is waiting."""


class StreamObserver(CallObserver):
    """Of the query that stores readings of a stream, and answers the outcome of each."""

    time_at = 1

    def __init__(self, stream: str) -> None:
        self.stream: str = stream
        self._size = CALL_READINGS.labels(stream).observe
        self._duration = CALL_DURATION.labels(stream).observe
        self._overload = OVERLOADS.labels(stream).inc

    def called(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """Count its readings, and the call."""
        self._size(len(rows))
        self._duration(seconds)
        for outcome, number in Counter([record[0] for record in records]).items():
            count_readings(self.stream, outcome, number)

    def overloaded(self) -> None:
        """Count it."""
        self._overload()


class RefusedObserver(CallObserver):
    """Of the query that keeps what was refused for its shape: its rows begin with stream and code."""

    def called(self, rows: Sequence[Row], records: Sequence[Any], seconds: float) -> None:
        """Count what was refused."""
        for (stream, code), number in Counter([(row[0], row[1]) for row in rows]).items():
            count_readings(stream, code, number)


OBSERVERS: dict[str, CallObserver] = {}
"""Query -> who is told of its calls."""
