"""What is wrong with an archive is found, and named."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from tests.commands.archive.conftest import DAY, OLD, Archive
from tests.commands.archive.test_restore import flip


def truncate(archive: Archive) -> None:
    os.truncate(archive.parquet(), archive.parquet().stat().st_size - 100)


def edit(field: str, value: object) -> Callable[[Archive], None]:
    def change(archive: Archive) -> None:
        manifest = json.loads(archive.manifest().read_text())
        archive.manifest().write_text(json.dumps({**manifest, field: value}))

    return change


DAMAGES: dict[str, tuple[Callable[[Archive], object], str]] = {
    "a flipped byte": (lambda archive: flip(archive.parquet()), "SHA-256"),
    "a truncated file": (truncate, "cannot be read"),
    "a missing file": (lambda archive: archive.parquet().unlink(), "is missing"),
    "a missing manifest": (lambda archive: archive.manifest().unlink(), "is missing"),
    "another day's file": (lambda archive: archive.parquet(day=OLD + DAY).replace(archive.parquet()), "another chunk"),
    "a manifest that is none": (lambda archive: archive.manifest().write_text("[]"), "not a manifest"),
    "edited readings": (edit("readings", 287), "readings 288, not 287"),
    "edited sums": (edit("sums", {"kwh_consumed_ac": 1.0}), "columns kwh_consumed_ac, voltage, register_kwh"),
    "an edited checksum": (edit("sha256", "0" * 64), "SHA-256"),
    "an edited file": (edit("file", "meter/other.parquet"), "another chunk"),
    "an edited time": (edit("rangeEnd", "2024-01-01"), "not a manifest"),
    "another record": (
        lambda archive: archive.connection.execute("UPDATE ops.archived_chunk SET sha256 = 'x'"),
        "the database recorded x",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(archive: Archive, damage: str) -> None:
    archive("run")
    assert "verified 4 of 4 chunks, 960 rows" in archive("verify").output
    do, said = DAMAGES[damage]
    do(archive)
    output = archive("verify", status=1).output
    wrong = [line for line in output.splitlines() if line.startswith("WRONG")]
    assert wrong and any(said in line for line in wrong), output
    assert any(str(path) in line for line in wrong for path in (archive.parquet(), archive.manifest()))
    if "record" not in damage and "another" not in damage:
        archive("verify", "--from", f"{OLD + DAY:%Y-%m-%d}")


def test_a_kept_archive_is_listed(archive: Archive) -> None:
    assert archive("list").output == "nothing archived\n"
    archive("run", "--drop")
    lines = archive("list", "--kind", "meter").output.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["meter", f"{OLD:%Y-%m-%d}", "288"]
    assert lines[1].split()[-1] == str(archive.parquet())
    [one, _] = [json.loads(line) for line in archive("list", "--kind", "vehicle", "--json").output.splitlines()]
    assert (one["readings"], one["location"]) == (192, str(archive.parquet("vehicle")))
    assert one["dropped_at"] > one["verified_at"]


@pytest.fixture(autouse=True)
def _as_it_was(archive: Archive) -> Iterator[None]:
    yield
    archive.connection.execute("RESET ROLE")
