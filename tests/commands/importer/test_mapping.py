"""Files of another shape: which column is which field, what its numbers mean, and whose clocks its times are of."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.errors import StartupError
from tests.commands.importer.conftest import Import, parse
from tests.support import ROOT, Owner, Pair

PARIS = ZoneInfo("Europe/Paris")
DAY = ROOT / "tests/support/data/smart_meter_2007-02-01.csv"
OPTIONS: dict[str, Any] = {
    "delimiter": ";",
    "columns": {"kwhConsumedAc": "Global_active_power", "voltage": "Voltage", "timestamp": "Date+Time"},
    "scales": {"kwhConsumedAc": "1/60"},
    "timezone": "Europe/Paris",
    "time_format": "%d/%m/%Y %H:%M:%S",
}


def recent_weekday() -> date:
    """A day within the retention on which no clock is changed."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    return day - timedelta(days=1) if day.weekday() == 6 else day


async def test_a_day_of_a_real_meter_is_imported_by_options_alone(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    day = recent_weekday()
    path = tmp_path / "day.csv"
    path.write_text(DAY.read_text().replace("1/2/2007", f"{day.day}/{day.month}/{day.year}"))
    result = await import_(path, **OPTIONS, constants={"meterId": pair.meter})
    assert (result.rows, result.counts) == (1440, {"stored": 1440})
    with DAY.open() as file:
        power = [float(row["Global_active_power"]) for row in csv.DictReader(file, delimiter=";")]
    query = (
        "SELECT telemetry.recorded_at(min(counted_at)), telemetry.recorded_at(max(counted_at)), sum(kwh_consumed_ac), "
        "min(voltage) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    )
    [(first, last, energy, voltage)] = await owner.fetch(query, pair.meter)
    midnight = datetime(day.year, day.month, day.day, tzinfo=PARIS)
    assert (first, last) == (midnight, midnight + timedelta(minutes=1439))
    assert energy == pytest.approx(sum(power) / 60)
    assert voltage > 230


async def test_the_same_day_as_it_was_recorded_is_too_old(import_: Import, pair: Pair) -> None:
    side = DAY.with_name(DAY.name + ".rejected.ndjson")
    try:
        result = await import_(DAY, **OPTIONS, constants={"meterId": pair.meter})
    finally:
        side.unlink(missing_ok=True)
    assert result.counts == {"rejected": 1440}
    assert {row["code"] for row in result.rejected} == {"timestamp_too_old"}
    assert result.rejected[0]["row"]["Date"] == "1/2/2007"


def last_change(month: int) -> date:
    """The last Sunday of this month, when Europe changes its clocks, as long past as it may be."""
    year = datetime.now(UTC).year - 1
    day = date(year, month, 31)
    return day - timedelta(days=(day.weekday() + 1) % 7)


@pytest.mark.parametrize(("month", "shown"), [(3, "never"), (10, "twice")])
async def test_a_local_time_that_the_clocks_show_twice_or_never_is_rejected(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, month: int, shown: str
) -> None:
    day = last_change(month)
    path = tmp_path / "a.csv"
    path.write_text(
        "meterId,timestamp,kwhConsumedAc,voltage\n"
        + "".join(
            f"{pair.meter},{day} {hour}:30:00{zone},1,230\n" for hour, zone in (("01", ""), ("02", ""), ("04", ""))
        )
        + f"{pair.meter},{day}T02:30:00+02:00,1,230\n"
    )
    result = await import_(path, timezone="Europe/Paris")
    assert result.codes == [(3, "timestamp_invalid")]
    assert f"shown {shown} by the clocks of Europe/Paris" in result.rejected[0]["detail"]
    times = await owner.fetch(
        "SELECT telemetry.recorded_at(counted_at) FROM telemetry.meter_telemetry_history WHERE meter_id = $1 "
        "ORDER BY counted_at",
        pair.meter,
    )
    local = [datetime(day.year, day.month, day.day, hour, 30, tzinfo=PARIS) for hour in (1, 4)]
    offset = datetime(day.year, day.month, day.day, 0, 30, tzinfo=UTC)
    assert [row[0] for row in times] == sorted({*(time.astimezone(UTC) for time in local), offset})


AUTUMN = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
"""Local times of a night on which the clocks go back from 3 to 2, in half hours."""


def of_autumn(path: Path, meters: list[str], clocks: list[str], day: date) -> None:
    lines = [f"{meter},{day} {clock},1,230\n" for clock in clocks for meter in meters]
    path.write_text("meterId,timestamp,kwhConsumedAc,voltage\n" + "".join(lines))


def test_the_hour_that_clocks_show_twice_is_told_by_the_order_of_each_device_if_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    of_autumn(path, ["M1", "M2"], AUTUMN, date(2026, 10, 25))
    found = parse(path, timezone="Europe/Paris", repeated_hour_by_order=True)
    # 01:30 of summer time is 23:30 UTC of the day before; from there on every half hour comes once
    expected = [datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + n * timedelta(minutes=30) for n in range(6)]
    for meter in ("M1", "M2"):
        assert [record[1] for record in found.records if record[0] == meter] == expected
    assert found.wrong == {}
    assert len(parse(path, timezone="Europe/Paris").wrong) == 8


def test_rows_that_go_back_in_time_do_not_tell_the_repeated_hour(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    of_autumn(path, ["M1"], AUTUMN[::-1], date(2026, 10, 25))
    found = parse(path, timezone="Europe/Paris", repeated_hour_by_order=True)
    assert (list(found.wrong), len(found.records)) == ([3, 4, 5, 6], 2)
    assert "not in the order of time" in found.wrong[3]


def test_an_hour_that_clocks_skip_is_rejected_by_order_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    of_autumn(path, ["M1"], ["01:30", "02:30", "03:00"], date(2026, 3, 29))
    found = parse(path, timezone="Europe/Paris", repeated_hour_by_order=True)
    assert list(found.wrong) == [3]
    assert "never" in found.wrong[3]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
async def test_an_export_of_a_history_by_psql_comes_back_with_the_devices_own_times(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, zone: str
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    times = [midnight, midnight + timedelta(minutes=1), midnight + timedelta(microseconds=123)]
    columns = ["meter_id", "counted_at", "received_at", "kwh_consumed_ac", "voltage", "register_kwh", "register_dip"]
    async with owner.connection() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL TimeZone = '{zone}'")
        exported = await connection.fetch(
            "SELECT telemetry.counted_at(t)::text AS counted_at, now()::text AS now "
            "FROM unnest($1::timestamptz[]) AS t",
            times,
        )
    path = tmp_path / "history.csv"
    path.write_text(
        ",".join(columns)
        + "\n"
        + "".join(f"{pair.meter},{row['counted_at']},{row['now']},0.5,230,,\n" for row in exported)
    )
    result = await import_(path)
    assert (result.counts, result.rejected) == ({"stored": 3}, [])
    query = (
        "SELECT telemetry.recorded_at(counted_at) FROM telemetry.meter_telemetry_history WHERE meter_id = $1 "
        "ORDER BY counted_at"
    )
    assert [row[0] for row in await owner.fetch(query, pair.meter)] == sorted(times)
    status = "SELECT recorded_at FROM telemetry.meter_current_status WHERE meter_id = $1"
    assert await owner.fetchval(status, pair.meter) == max(times)
    assert (await import_(path)).counts == {"duplicates": 3}


async def test_a_column_of_that_name_that_the_user_names_holds_times_as_they_are(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"meterId,counted_at,kwhConsumedAc,voltage\n{pair.meter},{recent_weekday()}T12:00:00Z,1,230\n")
    await import_(path, columns={"timestamp": "counted_at"})
    status = "SELECT recorded_at FROM telemetry.meter_current_status WHERE meter_id = $1"
    assert f"{await owner.fetchval(status, pair.meter):%H:%M:%S.%f}" == "12:00:00.000000"


def wrong() -> Iterator[Any]:
    yield {"columns": {"voltage": "Volts"}}, "there is no column 'Volts' for voltage .*found: meterId, when"
    yield {"columns": {"soc": "when", "timestamp": "when"}, "kind": "meter"}, "soc is not a field of a meter reading"
    yield {"columns": {"timestamp": "when"}, "constants": {"voltage": "high"}}, "--set voltage=high: .*must be a number"
    yield {}, "no column for timestamp .*--column timestamp=COLUMN"


@pytest.mark.parametrize(("options", "words"), list(wrong()))
async def test_a_mapping_that_cannot_be_is_said_with_the_option_that_mends_it(
    import_: Import, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("meterId,when,kwhConsumedAc,voltage\n")
    with pytest.raises(StartupError, match=words):
        await import_(path, **options)
