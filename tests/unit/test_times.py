"""ISO 8601 times: every form that clients send is the moment it says, and nothing else is a time."""

from datetime import UTC, datetime, timedelta

import pytest

from service.readings.times import read_time


def at(hour: int, minute: int, second: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2026, 11, 27, hour, minute, second, microsecond, UTC)


MOMENTS = {
    "2026-11-27T07:20Z": at(7, 20),
    "2026-11-27T07:20+05:30": at(1, 50),
    "2026-11-27T07:20:47+00": at(7, 20, 47),
    "2026-11-27 07:20:47.25-05": at(12, 20, 47, 250_000),
    "2026-11-27T07:20:47+0000": at(7, 20, 47),
    "2026-11-27T07:20:47+0530": at(1, 50, 47),
    "2026-11-27T07:20:47-00:00": at(7, 20, 47),
    "2026-11-26T24:00:00Z": at(0, 0),
    "2026-11-26T24:00Z": at(0, 0),
    "2026-11-26T24:00:00.000Z": at(0, 0),
    "2026-11-27T24:00:00,0+01": at(23, 0),
    "2026-11-27T07:20:54,500Z": at(7, 20, 54, 500_000),
    "2026-11-27t07:20:54z": at(7, 20, 54),
    "2026-11-27 07:20:54z": at(7, 20, 54),
    "2026-11-27T07:20:54.1234567Z": at(7, 20, 54, 123_457),
    "2026-11-27T07:20:54,123456789+00": at(7, 20, 54, 123_457),
    "2026-11-27T07:20:54.123456789012Z": at(7, 20, 54, 123_457),
    "20261127T072054Z": at(7, 20, 54),
    "20261127T0720+0100": at(6, 20),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_every_form_with_an_offset_is_its_moment(text: str) -> None:
    time = read_time(text)
    assert time is not None
    assert time == MOMENTS[text]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-27T07:20", datetime(2026, 11, 27, 7, 20)),
        ("2026-11-27 07:20:54,5", datetime(2026, 11, 27, 7, 20, 54, 500_000)),
        ("2026-12-31 24:00", datetime(2027, 1, 1)),
    ],
)
def test_a_time_without_an_offset_is_naive(text: str, time: datetime) -> None:
    assert read_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "1770573600",
        "2026-11-27",
        "2026-11-27Z",
        "2026-11-27T07Z",
        "07:20:54Z",
        "2026-11-27T24:00:01Z",
        "2026-11-27T24:01Z",
        "2026-11-27T24:00:00.001Z",
        "2026-11-27T25:00Z",
        "2026-11-27T07:60Z",
        "2026-11-27T07:20:60Z",
        "2026-02-29T07:20Z",
        "2026-11-27T07:20+24",
        "2026-11-27T07:20+5",
        "2026-11-27T07:20:54.Z",
        "2026-11-27T07:20,5Z",
        "2026-11-27T07:20Z ",
        " 2026-11-27T07:20Z",
        "2026-11-27T07:20Z\n",
        "9999-12-31T24:00Z",
        "0000-01-01T00:00Z",
        "٢٠٢٦-11-27T07:20Z",
        "\ud800",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text) is None


def test_the_end_of_a_day_keeps_its_offset() -> None:
    time = read_time("2026-11-26T24:00+05:30")
    assert time is not None
    assert (time.isoformat(), time.utcoffset()) == ("2026-11-27T00:00:00+05:30", timedelta(hours=5, minutes=30))
