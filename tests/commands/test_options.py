"""Times, durations, zones and kinds, as every command takes them."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from service.commands.options import DURATION, KIND, TIME, ZONE


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-02-08T18:00:00Z", datetime(2026, 2, 8, 18, tzinfo=UTC)),
        ("2026-02-08T18:00:00+05:30", datetime(2026, 2, 8, 12, 30, tzinfo=UTC)),
        ("2026-02-08", datetime(2026, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_time_has_an_offset_or_is_a_day_of_utc(text: str, time: datetime) -> None:
    assert TIME.convert(text, None, None) == time


@pytest.mark.parametrize(
    ("text", "age"), [("90m", timedelta(minutes=90)), ("24h", timedelta(days=1)), ("99999d", timedelta(days=99_999))]
)
def test_a_time_may_be_an_age(text: str, age: timedelta) -> None:
    before = datetime.now(UTC)
    assert before <= TIME.convert(text, None, None) + age <= datetime.now(UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-02-08T18:00:00", "2026-02-30", "24", "h", "-1h", "1.5h", "100000d"])
def test_any_other_time_is_named_with_the_three_ways_to_write_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"(?s)time with an offset.*day of UTC.*age") as failure:
        TIME.convert(text, None, None)
    assert repr(text) in failure.value.message


def test_a_duration_is_a_number_with_a_unit_or_nothing() -> None:
    assert DURATION.convert("7d", None, None) == timedelta(days=7)
    assert DURATION.convert("0", None, None) == timedelta(0)
    for text in ("", "7", "d", "7w", "-7d", "\u0667d", "2026-02-08"):
        with pytest.raises(click.BadParameter, match="90m, 24h, 7d, or 0"):
            DURATION.convert(text, None, None)


def test_a_zone_has_an_iana_name_and_a_kind_is_meter_or_vehicle() -> None:
    assert ZONE.convert("Europe/Berlin", None, None) == "Europe/Berlin"
    with pytest.raises(click.BadParameter, match="zone of the IANA database"):
        ZONE.convert("Europe/Nowhere", None, None)
    assert KIND.choices == ("meter", "vehicle")
