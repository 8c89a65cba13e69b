"""`energy prices import | list` as a DBA runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.commands.prices import prices
from service.errors import StartupError
from tests.support.processes import assert_one_plain_line, run

pytestmark = pytest.mark.long

HEADER = "zone,meter,valid_from,valid_to,price_per_kwh,currency,co2_g_per_kwh,days,local_from,local_until\n"
SPOT = (
    "\ufeffvalid_from, valid_to,price_per_kwh, currency,co2_g_per_kwh\r\n"
    "2026-10-25T02:00:00+02:00,2026-10-25T02:00:00+01:00,0.0812,EUR,312.5\r\n"  # the hour that comes twice
    "2026-10-25T02:00:00+01:00,2026-10-25T03:00:00+01:00,-0.0003,EUR,\r\n"
)
NIGHT = (
    HEADER
    + ",,2027-01-01T00:00:00Z,,0.34,EUR,,1234567,06:00,22:00\n"
    + ",,2027-01-01T00:00:00Z,,0.22,EUR,,,22:00,06:00\n"
    + "\n"
    + ",M7,2027-01-01T00:00:00Z,,0,EUR,,,,\n"
)


@pytest.fixture
def migrated(environment: dict[str, str]) -> dict[str, str]:
    assert run("migrate", **environment).returncode == 0
    return environment


def test_a_file_is_imported_as_a_whole_again_and_again(migrated: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    for content, printed in (
        (SPOT, "2 lines: 2 prices, 1 grid intensities\n"),
        (NIGHT, "3 lines: 3 prices, 0 grid intensities\n"),
        (SPOT.replace("0.0812", "0.09"), "2 lines: 2 prices, 1 grid intensities\n"),
    ):
        file.write_text(content, encoding="utf-8", newline="")
        imported = run("prices", "import", str(file), **migrated)
        assert (imported.returncode, imported.stderr, imported.stdout) == (0, "", printed)

    # none of a file with a line that overlaps
    file.write_text(HEADER + ",,2025-01-01T00:00Z,2025-02-01T00:00Z,1,EUR,,,,\n,,2026-12-01T00:00Z,,1,EUR,,,,\n")
    refused = run("prices", "import", str(file), **migrated)
    assert_one_plain_line(refused, "line 3: price overlaps price 3 of")

    listed = [json.loads(line) for line in run("prices", "list", "--json", **migrated).stdout.splitlines()]
    assert [(row["zone"], row["meter"], row["price_per_kwh"], row["co2_g_per_kwh"]) for row in listed] == [
        ("default", None, "0.09", None),
        ("default", None, "-0.0003", None),
        ("default", None, "0.34", None),
        ("default", None, "0.22", None),
        ("default", None, None, "312.5"),
        ("default", "M7", "0", None),
    ]
    assert listed[3] == {
        "price_id": listed[3]["price_id"],
        "grid_intensity_id": None,
        "zone": "default",
        "meter": None,
        "valid_from": "2027-01-01T00:00:00Z",
        "valid_to": None,
        "days": "1234567",
        "local_from": "22:00:00",
        "local_until": "06:00:00",
        "price_per_kwh": "0.22",
        "currency": "EUR",
        "co2_g_per_kwh": None,
    }
    heading, *rows = run("prices", "list", **migrated).stdout.splitlines()
    assert heading.split()[:4] == ["price", "intensity", "zone", "meter"]
    assert "2026-10-25 00:00Z" in rows[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 must name each column once"),
        ("zone,zone\n", "line 1 must name each column once"),
        ("zone,price\n", "column 'price' is unknown; the columns are zone, meter, valid_from"),
        (HEADER + "default,1\n", "line 2 has 2 fields, not 10"),
        (HEADER + ",,2026-01-01,,1,EUR,,,,\n", "line 2: valid_from '2026-01-01' is not a time with an offset"),
        (HEADER + ',,,,"1,5",EUR,,,,\n', "line 2: price_per_kwh '1,5' is not a number"),
        (HEADER + ",,,,1e9,EUR,,,,\n", "line 2: price_per_kwh '1e9' is not a number"),
        (HEADER + "\n,,,,1,EUR,,,6 am,\n", "line 3: local_from '6 am' is not a local time, as 06:00"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_its_field(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(content)
    with pytest.raises(StartupError, match=re.escape(message)):
        prices.main(["import", str(file)], standalone_mode=False)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"none\.csv cannot be read"):
        prices.main(["import", str(tmp_path / "none.csv")], standalone_mode=False)
