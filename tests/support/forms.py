"""Forms of times and numbers, as devices and files have them."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tests.support import YESTERDAY

NOT_FINITE = ["NaN", "nan", "-nan", "NAN", "-nan(ind)", "inf", "-inf", "Infinity", "-Infinity", "+INF"]
NOT_FINITE += ["ovf", "1.#QNAN0", "-1.#IND", "1.#INF00"]  # of Arduino, and of old compilers


def with_word(reading: dict[str, Any], field: str, word: str) -> bytes:
    """The reading as JSON, with a word that is no JSON for the value of a field."""
    return json.dumps({**reading, field: "@"}).replace('"@"', word).encode()


# the day before yesterday, so that no form of its end is ahead of the clock
DAY: date = (YESTERDAY - timedelta(days=1)).date()


def moment(hour: int, minute: int, second: int = 0, microsecond: int = 0) -> datetime:
    return datetime.combine(DAY, time(hour, minute, second, microsecond, UTC))


FORMS = {
    f"{DAY}T00:20Z": moment(0, 20),
    f"{DAY}T01:20:47+00": moment(1, 20, 47),
    f"{DAY} 02:20:47.25+00": moment(2, 20, 47, 250_000),
    f"{DAY}T03:20:47+0000": moment(3, 20, 47),
    f"{DAY}t04:20:47z": moment(4, 20, 47),
    f"{DAY} 05:20:47Z": moment(5, 20, 47),
    f"{DAY}T06:20:54,500Z": moment(6, 20, 54, 500_000),
    f"{DAY}T07:20:54.1234567Z": moment(7, 20, 54, 123_457),
    f"{DAY}T08:20:54.123456789Z": moment(8, 20, 54, 123_457),
    f"{DAY}T09:20:54.123456789012Z": moment(9, 20, 54, 123_457),
    f"{DAY:%Y%m%d}T102054Z": moment(10, 20, 54),
    f"{DAY}T17:20+05:30": moment(11, 50),
    f"{DAY}T24:00:00Z": moment(0, 0) + timedelta(days=1),
}
"""Each form of a time, with its moment; in their order."""
WITHOUT_OFFSET: list[Any] = [f"{DAY}T07:20", f"{DAY}T24:00:00", f"{DAY} 07:20:54,5", f"{DAY}", 1770573600, 1.5, True]
