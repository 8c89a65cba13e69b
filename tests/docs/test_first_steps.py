"""The four paths of docs/first-steps.md: their scripts and statements run, and their commands exist."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from service.cli import cli
from tests.support import ROOT, Api, Owner, Pair, meter_reading, now

PAGE = (ROOT / "docs/first-steps.md").read_text()
BLOCKS = [
    (language, re.sub(r"(?m)^ {4}", "", block))
    for language, block in re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", PAGE)
]


def blocks(language: str) -> list[str]:
    return [block for name, block in BLOCKS if name == language]


async def test_the_script_sends_a_reading_and_prints_the_newest(api: Api, pair: Pair, tmp_path: Path) -> None:
    [script] = blocks("python")
    file = tmp_path / "first_reading.py"
    file.write_text(
        script.replace("http://127.0.0.1:3000", str(api.http.base_url).rstrip("/")).replace("M001", pair.meter)
    )
    process = await asyncio.create_subprocess_exec(sys.executable, file, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    outcome, status = map(json.loads, printed.splitlines())
    assert outcome == {"outcome": "stored"}
    assert (status["meterId"], status["kwhConsumedAc"], status["voltage"]) == (pair.meter, 0.42, 230.1)


async def test_the_chart_has_a_bar_for_each_hour_of_a_bi_login(api: Api, owner: Owner, pair: Pair) -> None:
    reading = meter_reading(pair.meter, now(), kwhConsumedAc=1000.0)
    assert (await api.post("/v1/ingest/meter", reading)).status_code == 201
    chart = blocks("sql")[0]
    async with owner.undone() as connection:
        await connection.execute("SET LOCAL ROLE energy_bi")
        rows = [tuple(row) for row in await connection.fetch(chart.rstrip().rstrip(";"))]
    most = max(kwh for _, kwh, _ in rows)
    assert most >= 1000
    assert all(re.fullmatch(r"\d\d:00", hour) for hour, _, _ in rows)
    assert [len(bar) for _, _, bar in rows] == [pytest.approx(40 * float(kwh / most), abs=0.51) for _, kwh, _ in rows]


async def test_the_retention_changes_as_printed_by_a_dba(owner: Owner) -> None:
    change, look = blocks("sql")[1:]
    [printed] = blocks("")
    async with owner.undone() as connection:
        await connection.execute("SET LOCAL ROLE energy_dba")
        for statement in change.split(";\n")[:-1]:
            rows = await connection.fetch(statement)
            if "apply_policies" in statement:
                cells = [" | ".join(row.values()) for row in rows]
                assert cells == [re.sub(r"\s*\|\s*", " | ", printed.splitlines()[2]).strip()]
        [job] = await connection.fetch(look.rstrip().rstrip(";"))
    assert json.loads(job["config"])["drop_after"] == "3 years"


def commands() -> Iterator[list[str]]:
    for block in blocks("sh"):
        for line in block.splitlines():
            yield [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]


def test_every_command_exists_with_its_options() -> None:
    targets = (ROOT / "Makefile").read_text()
    known = 0
    for words in commands():
        if words[0] == "make":
            assert re.search(rf"^{re.escape(words[1].replace('.venv', '$(VENV)'))}\b.*:", targets, re.MULTILINE), words
        elif words[0] == ".venv/bin/energy":
            context = click.Context(cli)
            _, command, rest = cli.resolve_command(context, words[1:])
            assert command is not None
            command.make_context(words[1], rest, parent=context)
        else:
            assert words[0] in {"export", "python3", "psql"}, words
            continue
        known += 1
    assert known == 7
