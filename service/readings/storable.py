"""Values that PostgreSQL and asyncpg can hold, for the values that they cannot."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def storable_time(time: datetime) -> datetime:
    """The time within what asyncpg can convert; SQL rejects what lies beyond as it does the nearest it gets."""
    return min(max(time, EARLIEST), LATEST)


def storable_text(text: str) -> str:
    """The text with NUL, which PostgreSQL cannot hold, as a character that no valid id has either."""
    return text.replace("\x00", "\ufffd")
