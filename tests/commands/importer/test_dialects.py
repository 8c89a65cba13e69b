"""Texts as programs write them: encodings, delimiters, lines before the header, blanks, decimal commas, epochs."""

import codecs
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.errors import StartupError
from tests.commands.importer.conftest import parse

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
READING = ("M1", NOON, 4.03, 230.5)
PLAIN = "meterId,timestamp,kwhConsumedAc,voltage\nM1,2026-02-08T12:00:00Z,4.03,230.5\n"


def parsed(path: Path, content: str | bytes, **options: Any) -> Any:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return parse(path, **options)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    found = parsed(tmp_path / "a.csv", PLAIN.replace(",", delimiter))
    assert (found.records, found.wrong) == ([READING], {})


def test_a_delimiter_is_told_by_the_names_that_it_makes_not_by_their_number(tmp_path: Path) -> None:
    text = "meterId;timestamp;kwhConsumedAc;voltage;a,b,c,d,e,f\nM1;2026-02-08T12:00:00Z;4.03;230.5;x\n"
    assert parsed(tmp_path / "a.csv", text).records == [READING]


def test_a_delimiter_that_is_given_is_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="do not tell the kind"):
        parsed(tmp_path / "a.csv", PLAIN, delimiter=";")


def test_lines_before_the_header_are_found_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    text = 'Report of "meters"\n\nFrom,2026-02-08,voltage\n' + PLAIN + "M1,2026-02-08T12:01:00Z,x,230\n"
    found = parsed(tmp_path / "a.csv", text)
    assert (found.records, list(found.wrong)) == ([READING], [6])


def test_the_header_is_found_by_the_columns_that_are_named(tmp_path: Path) -> None:
    text = "Id: 7;;\nTag;Uhr;Arbeit\n08.02.2026;12:00;4,03\n"
    found = parsed(
        tmp_path / "a.csv",
        text,
        columns={"timestamp": "Tag+Uhr", "kwhConsumedAc": "Arbeit"},
        constants={"meterId": "M1", "voltage": "230.5"},
        time_format="%d.%m.%Y %H:%M",
        timezone="UTC",
        decimal=",",
    )
    assert (found.records, found.wrong) == ([READING], {})


def test_the_line_of_a_header_can_be_given(tmp_path: Path) -> None:
    text = (
        PLAIN.splitlines()[0] + "\n" + "voltage,timestamp,kwhConsumedAc,meterId\n230.5,2026-02-08T12:00:00Z,4.03,M1\n"
    )
    assert parsed(tmp_path / "a.csv", text, header_line=2).records == [READING]
    assert [*parsed(tmp_path / "a.csv", text).wrong] == [2, 3]
    with pytest.raises(StartupError, match="found none: is it empty"):
        parsed(tmp_path / "a.csv", text, header_line=99)


@pytest.mark.parametrize(
    "text",
    [
        "meterId , timestamp,  kwhConsumedAc ,voltage\n M1 ,2026-02-08T12:00:00Z , 4.03\t, 230.5 \n",
        'meterId, timestamp, kwhConsumedAc, voltage\n"M1", "2026-02-08T12:00:00Z", "4.03", "230.5"\n',
        "meterId,timestamp,kwhConsumedAc,voltage\nM1,2026-02-08T12:00:00Z,4.03,230.5,\n",
        "meterId,timestamp,kwhConsumedAc,voltage\nM1,2026-02-08T12:00:00Z,4.03,230.5, ,\n",
        "meterId,timestamp,kwhConsumedAc,voltage,\nM1,2026-02-08T12:00:00Z,4.03,230.5\n",
        "meterId,timestamp,kwhConsumedAc,voltage,\nM1,2026-02-08T12:00:00Z,4.03,230.5,\n",
    ],
)
def test_blanks_around_cells_and_delimiters_at_the_end_of_lines_mean_nothing(tmp_path: Path, text: str) -> None:
    found = parsed(tmp_path / "a.csv", text)
    assert (found.records, found.wrong) == ([READING], {})


def test_lines_of_nothing_but_delimiters_are_no_rows(tmp_path: Path) -> None:
    found = parsed(tmp_path / "a.csv", PLAIN + ",,,\n\n , ,\n  \n")
    assert (found.records, found.wrong, found.left_out) == ([READING], {}, {"rows without a value": 3})


def test_a_value_beyond_the_header_is_still_wrong(tmp_path: Path) -> None:
    found = parsed(tmp_path / "a.csv", PLAIN + "M1,2026-02-08T12:01:00Z,1,230,,9\nM1,2026-02-08T12:02:00Z,1\n")
    assert found.wrong == {3: "the row has 6 cells, the header 4", 4: "the row has 3 cells, the header 4"}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE)],
)
@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_an_encoding_is_told_by_its_mark(tmp_path: Path, encoding: str, mark: bytes, format_: str) -> None:
    line = '{"meterId": "M1", "timestamp": "2026-02-08T12:00:00Z", "kwhConsumedAc": 4.03, "voltage": 230.5, "x": "é"}\n'
    text = PLAIN if format_ == "csv" else line
    found = parsed(tmp_path / f"a.{format_}", mark + text.encode(encoding))
    assert (found.records, found.wrong) == ([READING], {})


def test_an_encoding_can_be_given_and_is_asked_for(tmp_path: Path) -> None:
    content = "meterId;timestamp;Énergie;voltage\nM1;2026-02-08T12:00:00Z;4.03;230.5\n".encode("iso-8859-1")
    options: dict[str, Any] = {"columns": {"kwhConsumedAc": "Énergie"}}
    assert parsed(tmp_path / "a.csv", content, encoding="ISO-8859-1", **options).records == [READING]
    with pytest.raises(StartupError, match=r"no column 'Énergie' .*give --encoding"):
        parsed(tmp_path / "a.csv", content, **options)


def test_a_decimal_comma_is_read_only_if_it_is_said(tmp_path: Path) -> None:
    text = (
        "meterId;timestamp;kwhConsumedAc;voltage\n"
        "M1;2026-02-08T12:00:00Z;4,03;230,5\n"
        "M1;2026-02-08T12:01:00Z;1.234,5;230\n"
        "M1;2026-02-08T12:02:00Z;1.234;230\n"
    )
    found = parsed(tmp_path / "a.csv", text, decimal=",")
    assert found.records == [READING]
    assert found.wrong == {n: f"kwhConsumedAc must be a number, not {v!r}" for n, v in ((3, "1.234,5"), (4, "1.234"))}
    unsaid = parsed(tmp_path / "a.csv", text)
    assert (
        unsaid.wrong[2]
        == "kwhConsumedAc must be a number, not '4,03': is the comma its decimal point, give --decimal ,"
    )
    alone = parsed(tmp_path / "a.csv", text.partition("M1;2026-02-08T12:01")[0], decimal=",")
    assert (alone.records, alone.wrong) == ([READING], {})
    assert parsed(tmp_path / "a.csv", PLAIN.replace("4.03", "4"), decimal=",").wrong != {}


@pytest.mark.parametrize(
    ("written", "format_", "moment"),
    [
        ("1770552000", "epoch-s", NOON),
        ("1770552000.25", "epoch-s", NOON.replace(microsecond=250_000)),
        ("1770552000123", "epoch-ms", NOON.replace(microsecond=123_000)),
        ("08/02/2026 24:00", "%d/%m/%Y %H:%M", datetime(2026, 2, 9, tzinfo=UTC)),
        ("20260208 240000", "%Y%m%d %H%M%S", datetime(2026, 2, 9, tzinfo=UTC)),
        ("24.02.2024 24:00:00", "%d.%m.%Y %H:%M:%S", datetime(2024, 2, 25, tzinfo=UTC)),
    ],
)
def test_a_time_of_a_format_is_its_moment(tmp_path: Path, written: str, format_: str, moment: datetime) -> None:
    text = PLAIN.replace("2026-02-08T12:00:00Z", written)
    assert [r[1] for r in parsed(tmp_path / "a.csv", text, time_format=format_, timezone="UTC").records] == [moment]


def test_numbers_of_json_are_epochs_too(tmp_path: Path) -> None:
    line = '{"meterId": "M1", "timestamp": %s, "kwhConsumedAc": 4.03, "voltage": 230.5}\n'
    text = "".join(line % value for value in ("1770552000", "true", '"noon"', "1e30", "999999999999"))
    found = parsed(tmp_path / "a.ndjson", text, time_format="epoch-s")
    assert (found.records, list(found.wrong)) == ([READING], [2, 3, 4, 5])


def test_without_the_format_a_number_is_no_time(tmp_path: Path) -> None:
    found = parsed(tmp_path / "a.csv", PLAIN.replace("2026-02-08T12:00:00Z", "1770552000"))
    assert "must be an ISO 8601 time" in found.wrong[2]
    assert found.wrong[2].endswith("not '1770552000': give its form with --time-format")


def test_a_measure_without_a_column_or_a_value_is_not_measured(tmp_path: Path) -> None:
    found = parsed(tmp_path / "a.csv", "meterId,timestamp,kwhConsumedAc\nM1,2026-02-08T12:00:00Z,4.03\n")
    assert found.records == [("M1", NOON, 4.03, None)]
    found = parsed(tmp_path / "a.csv", PLAIN.replace("230.5", " "))
    assert found.records == [("M1", NOON, 4.03, None)]
    found = parsed(tmp_path / "v.csv", "vehicleId,timestamp,kwhDeliveredDc,soc\nV1,2026-02-08T12:00:00Z,4.03,\n")
    assert found.records == [("V1", NOON, None, 4.03, None)]
    with pytest.raises(StartupError, match="no column for kwhConsumedAc"):
        parsed(tmp_path / "a.csv", "meterId,timestamp,voltage\n")


def test_a_measure_that_lines_of_json_have_later_is_not_lost(tmp_path: Path) -> None:
    line = '{"meterId": "M1", "timestamp": "2026-02-08T12:00:00Z", "kwhConsumedAc": 4.03}\n'
    found = parsed(tmp_path / "a.ndjson", line * 100 + line.replace("}", ', "voltage": 230.5}'))
    assert (found.records[0], found.records[100]) == (("M1", NOON, 4.03, None), READING)
