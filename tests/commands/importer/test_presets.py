"""Files of the sources that have a preset; ids, times and energies are worked out by hand from the files in `data`."""

import codecs
import contextlib
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from service.commands.importer.chunks import Chunk, read_chunks
from service.commands.importer.load import Progress
from service.commands.importer.mapping import Options
from service.commands.importer.presets import PRESETS
from service.commands.importer.report import Report
from service.commands.importer.source import open_source
from service.errors import StartupError
from tests.commands.importer.conftest import Import, parse
from tests.support import YESTERDAY, Owner, Pair

DATA = Path(__file__).parent / "data"


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type]


def test_enedis_means_of_power_become_energies_of_the_intervals_that_end_there() -> None:
    found = parse(DATA / "enedis.csv", preset="enedis")
    # 420 W and 1,264 W over half an hour
    assert found.records == [
        ("09111642617347", at(2025, 12, 31, 23, 30), 0.21, None),
        ("09111642617347", at(2026, 1, 1, 0, 0), 0.632, None),
        ("09111642617347", at(2026, 1, 1, 1, 0), 0.0, None),
    ]
    assert found.wrong == {7: "kwhConsumedAc has no value"}


@pytest.mark.parametrize(
    ("change", "energy"),
    [(("W;30", "kW;15"), 105.0), (("W;30", "Wh;30"), 0.42), (("W;30", "kWh;60"), 420.0), (("W;30", "W;10"), 0.07)],
)
def test_enedis_tells_unit_and_interval_itself(tmp_path: Path, change: tuple[str, str], energy: float) -> None:
    path = tmp_path / "a.csv"
    path.write_text((DATA / "enedis.csv").read_text().replace(*change))
    assert parse(path, preset="enedis").records[0][2] == pytest.approx(energy, rel=1e-15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("W;30", "VA;30"), "give --scale, as kwhConsumedAc=1/2000"),
        (("W;30", "W;"), "give --scale, as kwhConsumedAc=1/2000"),
        (("CONS", "PROD"), "Grandeur metier is 'PROD'"),
        (("Valeur", "Wert"), "no column for kwhConsumedAc .*Horodate, Wert"),
    ],
)
def test_an_enedis_file_that_is_no_consumption_is_an_error(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text((DATA / "enedis.csv").read_text().replace(*change))
    with pytest.raises(StartupError, match=words):
        parse(path, preset="enedis")


def test_octopus_intervals_end_at_their_end_whatever_the_offset() -> None:
    found = parse(DATA / "octopus.csv", preset="octopus", constants={"meterId": "M1"})
    assert found.records == [
        ("M1", at(2026, 3, 29, 0, 30), 0.132, None),
        ("M1", at(2026, 3, 29, 1, 0), 0.25, None),
        ("M1", at(2026, 3, 29, 1, 30), 0.041, None),
    ]
    assert found.wrong == {}
    with pytest.raises(StartupError, match=r"no column for meterId .*--set meterId=VALUE"):
        parse(DATA / "octopus.csv", preset="octopus")


def test_green_button_takes_measured_consumption_in_watt_hours_and_names_the_rest() -> None:
    found = parse(DATA / "green-button.xml", preset="green-button", constants={"meterId": "M1"})
    # 282, 1 and 40 times 10 Wh; 1767225600 is 2026-01-01T00:00:00Z, and every interval has 15 minutes
    assert found.records == [
        ("M1", at(2026, 1, 1, 0, 15), 2.82, None),
        ("M1", at(2026, 1, 1, 0, 30), 0.01, None),
        ("M1", at(2026, 1, 1, 1, 0), 0.4, None),
    ]
    assert found.left_out == {
        "readings of flowDirection 19, not 1, consumption": 1,
        "readings of quality 8, estimated": 1,
    }
    by_link = parse(DATA / "green-button.xml", preset="green-button", columns={"meterId": "usagePoint"})
    assert [record[0] for record in by_link.records] == ["EP01"] * 3


def test_green_button_reads_no_document_type_and_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    options: dict[str, Any] = {"preset": "green-button", "constants": {"meterId": "M1"}}
    text = (DATA / "green-button.xml").read_text()
    path.write_text(text.replace("<feed", '<!DOCTYPE feed [<!ENTITY a "aaaa">]>\n<feed', 1))
    with pytest.raises(StartupError, match=r"a\.xml: line 2 declares a document type"):
        parse(path, **options)
    path.write_text(text[:2000])
    with pytest.raises(StartupError, match=r"a\.xml is damaged: "):
        parse(path, **options)
    path.write_text(text.replace("<espi:value>1<", "<espi:value>1.5<"))
    assert parse(path, **options).wrong == {31: "value must be a whole number, not '1.5'"}
    path.write_text(text.replace('rel="related" href="/espi/1_1/resource/ReadingType', 'rel="x" href="'))
    with pytest.raises(StartupError, match="no link to a MeterReading with a ReadingType"):
        parse(path, **options)


def test_a_green_button_file_of_many_blocks_is_read_in_bounded_steps(tmp_path: Path) -> None:
    text = (DATA / "green-button.xml").read_text()
    start = text.index("<espi:IntervalReading>")
    one = text[start : text.index("</espi:IntervalReading>") + len("</espi:IntervalReading>")]
    many = "\n".join(one.replace(">1767225600<", f">{1767225600 - 900 * n}<") for n in range(1, 1001))
    path = tmp_path / "a.xml"
    path.write_text(text[:start] + many + text[start:])
    found = parse(path, preset="green-button", constants={"meterId": "M1"})
    assert len(found.records) == 1003
    assert found.records[999] == ("M1", at(2026, 1, 1, 0, 15) - timedelta(minutes=15_000), 2.82, None)


def test_nem12_intervals_are_of_market_time_and_only_actual_consumption() -> None:
    found = parse(DATA / "nem12.csv", preset="nem12")
    energies = {record[:2]: record[2] for record in found.records if record[2]}
    # 5 January begins at 14:00 UTC of the 4th, at UTC+10; E2 counts 250 Wh
    assert energies == {
        ("6305888444", at(2026, 1, 4, 14, 30)): 0.1,
        ("6305888444", at(2026, 1, 4, 15, 0)): 0.2,
        ("6305888444", at(2026, 1, 4, 15, 30)): 0.3,
        ("6305888444", at(2026, 1, 5, 14, 0)): 1.5,
        ("6305888444", at(2026, 1, 5, 14, 30)): 0.4,
        ("6305888444-E2", at(2026, 1, 4, 14, 30)): 0.25,
    }
    assert (len(found.records), found.wrong) == (48 + 46 + 48, {})
    assert found.left_out == {
        "intervals of quality S14, not actual": 2,
        "registers B1, not consumption": 1,
        "registers Q1, not consumption": 1,
    }


def test_nem12_records_that_are_wrong_are_rejected_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = (DATA / "nem12.csv").read_text().splitlines()
    lines[2] = lines[2].replace("20260105", "20261305")
    lines[3] = lines[3].replace(",0.4,", ",").removesuffix(",V,,,20260107001533,20260107020000") + ",V"
    lines[6:8] = ["200,6305888444,E1", "300,20260105,1", "250,what"]
    lines[10] = lines[10].replace(",250,", ",2_5,")
    path.write_text("\n".join(lines))
    assert parse(path, preset="nem12").wrong == {
        3: "record 300 has the date '20261305', not one written YYYYMMDD",
        4: "record 300 has 50 cells, not a date, 48 values and a quality",
        7: "record 200 has 3 cells, not 9: its days are not read",
        9: "record indicator '250' is not of NEM12",
        11: "kwhConsumedAc must be a number, not '2_5'",
    }
    path.write_text("a,b\n")
    with pytest.raises(StartupError, match=r"a\.csv: line 1 is no NEM12 header"):
        parse(path, preset="nem12")


@pytest.mark.parametrize(("minutes", "count"), [(5, 288), (15, 96)])
def test_nem12_intervals_of_every_length_fill_the_day(tmp_path: Path, minutes: int, count: int) -> None:
    path = tmp_path / "a.csv"
    values = ",".join(["0"] * (count - 1) + ["0.5"])
    path.write_text(f"100,NEM12,1,A,B\n200,N1,E1,E1,E1,,S,MWh,{minutes},\n300,20260105,{values},A,,,,\n900\n")
    found = parse(path, preset="nem12").records
    assert len(found) == count
    assert found[0] == ("N1", at(2026, 1, 4, 14, minutes), 0.0, None)
    assert found[-1] == ("N1", at(2026, 1, 5, 14), 500.0, None)


def test_dsmr_telegrams_are_the_same_with_the_line_ends_of_another_system(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((DATA / "dsmr.txt").read_bytes().replace(b"\r\n", b"\n"))
    assert parse(path, preset="dsmr") == parse(DATA / "dsmr.txt", preset="dsmr")


def test_dsmr_telegrams_give_the_sum_of_the_tariffs_and_the_season_of_the_clock() -> None:
    found = parse(DATA / "dsmr.txt", preset="dsmr")
    # 1234.567 + 765.433, and 02:30 of summer and of winter time; the third has a digit changed, the last is cut
    assert found.records == [
        ("E0047000007630817", at(2026, 10, 25, 0, 30), None, 231.4, 2000.0),
        ("E0047000007630817", at(2026, 10, 25, 1, 30), None, 229.9, 2000.125),
        ("E0047000007630817", at(2026, 1, 5, 11, 0), None, None, 2000.5),
    ]
    assert list(found.wrong) == [29, 49]
    assert "checksum" in found.wrong[29]
    assert "no end" in found.wrong[49]


def test_home_assistant_states_that_are_no_numbers_are_left_out_and_counted() -> None:
    found = parse(DATA / "home-assistant.csv", preset="home-assistant")
    sensor = "sensor.p1_meter_energy_import"
    assert found.records == [
        (sensor, datetime(2026, 1, 5, 0, 0, 12, 345_000, UTC), None, None, 4711.25),
        (sensor, at(2026, 1, 5, 1, 0), None, None, 4711.75),
        (sensor, at(2026, 1, 5, 2, 0), None, None, 4713.0),
    ]
    assert found.left_out == {"state unavailable": 2, "state unknown": 1}


def test_teslamate_totals_become_energies_within_each_charging_process() -> None:
    found = parse(DATA / "teslamate.csv", preset="teslamate", constants={"vehicleId": "V1"})
    moment = datetime(2026, 1, 5, 18, 0, 5, 120_000, UTC)
    minutes = timedelta(minutes=5)
    # process 71: 0, 0.85, 1.75, 1.70 (a dip), 2.00; 72: 0.50; 73: 0.25
    assert found.records == [
        ("V1", moment, 40.0, 0.0, None),
        ("V1", moment + minutes, 41.0, 0.85, None),
        ("V1", at(2026, 1, 5, 18, 5, 30), None, 0.5, None),
        ("V1", moment + 2 * minutes, 42.0, 0.9, None),
        ("V1", moment + 3 * minutes, 42.0, 0.0, None),
        ("V1", moment + 4 * minutes, 43.0, 0.25, None),
        ("V1", at(2026, 1, 6, 7), 43.0, 0.25, None),
    ]


def test_teslamate_rows_out_of_order_are_rejected_and_a_total_that_begins_again_counts_from_zero(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "date,battery_level,charge_energy_added,charging_process_id\n"
        "2026-01-05 18:05:00,50,2.0,1\n"
        "2026-01-05 18:00:00,50,1.0,1\n"
        "2026-01-05 18:06:00,50,x,1\n"
        "2026-01-05 18:07:00,50,0.5,1\n"
        "2026-01-05 18:08:00,50,0.75,1\n"
    )
    found = parse(path, preset="teslamate", constants={"vehicleId": "V1"})
    assert [record[3] for record in found.records] == [2.0, 0.5, 0.25]
    assert list(found.wrong) == [3, 4]
    assert "sort the rows by time" in found.wrong[3]


def test_an_option_stands_above_a_preset(tmp_path: Path) -> None:
    found = parse(
        DATA / "octopus.csv",
        preset="octopus",
        columns={"timestamp": "Start"},
        constants={"meterId": "M1"},
        scales={"kwhConsumedAc": 10},
    )
    assert found.records[0] == ("M1", at(2026, 3, 29), 1.32, None)


def test_a_preset_of_meters_reads_the_register_of_a_vehicle_if_it_is_told_so() -> None:
    path, columns = DATA / "home-assistant.csv", {"vehicleId": "entity_id"}
    found = parse(
        path, preset="home-assistant", kind="vehicle", columns=columns, scales={"registerKwh": Fraction(1, 1000)}
    )
    assert found.records[2] == ("sensor.p1_meter_energy_import", at(2026, 1, 5, 2), None, None, None, 4.713)


def test_every_preset_has_a_file() -> None:
    assert {path.stem for path in DATA.iterdir()} >= set(PRESETS) - {"dsmr"}
    assert (DATA / "dsmr.txt").exists()


OPTIONS: dict[str, dict[str, Any]] = {
    "octopus": {"constants": {"meterId": "M1"}},
    "green-button": {"constants": {"meterId": "M1"}},
    "teslamate": {"constants": {"vehicleId": "V1"}},
}


def file_of(preset: str) -> Path:
    return next(path for path in DATA.iterdir() if path.stem == preset)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_run_that_goes_on_reads_the_rows_that_a_whole_run_reads(preset: str) -> None:
    path, options = file_of(preset), Options(preset=preset, **OPTIONS.get(preset, {}))
    whole: list[Chunk] = []
    for skip in (0, 2, 4):
        with open_source(path, options) as (rows, columns, _):
            chunks = list(read_chunks(path, rows, columns, skip, 2))
            whole = whole or chunks
            records = [(chunk.records, [row.line for row in chunk.rejected]) for chunk in chunks]
            assert records == [(chunk.records, [row.line for row in chunk.rejected]) for chunk in whole[skip // 2 :]]
            assert rows.left_out == parse(path, preset=preset, **OPTIONS.get(preset, {})).left_out


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_damaged_file_ends_in_plain_words_or_rejected_rows(preset: str, tmp_path: Path) -> None:
    content = file_of(preset).read_bytes()
    path = tmp_path / "a"
    chance = random.Random(preset)
    for _ in range(150):
        broken = bytearray(content)
        for _ in range(chance.choice([1, 3, 30])):
            place = chance.randrange(len(broken) + 1)
            broken[place : place + chance.choice([0, 1, 1, 50])] = chance.choice(
                [b"", b"\x00", b"\xff", b"9" * 400, b",", b'"', b"<", b"\n", b"1e999", b"-1", "\u0663".encode()]
            )
        path.write_bytes(broken)
        with contextlib.suppress(StartupError):
            parse(path, preset=preset, **OPTIONS.get(preset, {}))


async def energies(owner: Owner, meter: str) -> list[tuple[float, float | None]]:
    rows = await owner.fetch(
        "SELECT kwh_consumed_ac, register_kwh FROM telemetry.meter_telemetry_history WHERE meter_id = $1 "
        "ORDER BY counted_at",
        meter,
    )
    return [tuple(row) for row in rows]


def registers(path: Path, meter: str, values: list[float]) -> None:
    lines = [
        f"{meter},{value},{YESTERDAY + n * timedelta(minutes=1):%Y-%m-%dT%H:%M:%S.000Z}"
        for n, value in enumerate(values)
    ]
    path.write_text("\n".join(["entity_id,state,last_changed", *lines]) + "\n")


async def test_registers_are_sent_for_declared_devices_and_no_others(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    registers(path, pair.meter, [1000, 1000.5, 1002])
    options: dict[str, Any] = {"preset": "home-assistant", "constants": {"voltage": "230"}}
    with pytest.raises(StartupError, match=f"meter {pair.meter} has a running register: .*--declare-registers"):
        await import_(path, **options)
    with path.open("a") as file:
        file.write(f"{pair.meter},unavailable,2026-01-05T00:00:00.000Z\n")
    result = await import_(path, **options, declare_registers=True)
    assert (result.counts, result.left_out) == ({"stored": 3}, {"state unavailable": 1})
    assert await energies(owner, pair.meter) == [(0, 1000), (0.5, 1000.5), (1.5, 1002)]
    assert (await import_(path, **options)).counts == {"duplicates": 3}
    await owner.execute("DELETE FROM telemetry.import_progress")


def test_the_summary_counts_what_was_left_out() -> None:
    done = Progress(3, Counter(stored=3), 1.0, {"state unknown": 1200, "rows without a value": 1})
    assert (
        Report("a.csv").summary(done, Path("a")).endswith("; left out: rows without a value: 1, state unknown: 1,200")
    )


async def test_readings_without_a_measure_are_stored_as_not_measured(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    optional = (
        "SELECT is_nullable = 'YES' FROM information_schema.columns WHERE table_schema = 'telemetry' "
        "AND table_name = 'meter_telemetry_history' AND column_name = 'voltage'"
    )
    if not await owner.fetchval(optional):
        pytest.skip("the history of this schema requires every measure")
    path = tmp_path / "a.csv"
    registers(path, pair.meter, [1000, 1000.5])
    assert (await import_(path, preset="home-assistant", declare_registers=True)).counts == {"stored": 2}
    voltages = "SELECT voltage FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    assert [voltage for (voltage,) in await owner.fetch(voltages, pair.meter)] == [None, None]


async def test_a_profile_that_says_otherwise_is_never_changed(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    await owner.execute("SELECT api.set_device_profile('meter', $1, p_max_kw => 22)", pair.meter)
    path = tmp_path / "a.csv"
    registers(path, pair.meter, [1000])
    with pytest.raises(StartupError, match="declare it first"):
        await import_(path, preset="home-assistant", constants={"voltage": "230"}, declare_registers=True)
    await owner.execute("DELETE FROM telemetry.import_progress")


def test_marked_and_packed_files_are_read_by_a_preset_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + (DATA / "octopus.csv").read_bytes().replace(b"\n", b"\r\n"))
    assert len(parse(path, preset="octopus", constants={"meterId": "M1"}).records) == 3
