"""Values limited to the ranges of PostgreSQL and asyncpg."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def storable_time(time: datetime) -> datetime:
    """Clamp a time to asyncpg's range. SQL rejects the clamped time as it would the real one."""
    return min(max(time, EARLIEST), LATEST)


def storable_number(number: float) -> float:
    """Clamp a number to the finite ones. SQL judges the clamped number as it would the real one."""
    return min(max(number, -sys.float_info.max), sys.float_info.max)


def storable_text(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store, by a character that no valid id has either."""
    return text.replace("\x00", "\ufffd")
