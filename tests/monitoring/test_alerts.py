"""Alert rules: they are valid, fire when they should, and each has its place in the runbook."""

import re
import shutil
import subprocess

import pytest

from tests.monitoring.files import FOLDER, RULES, RUNBOOK
from tests.support import Owner

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not on PATH (Debian's package prometheus has it)"
)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: list[str]) -> None:
    result = subprocess.run([str(PROMTOOL), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_a_heading_in_the_runbook_and_every_heading_its_alert() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_every_alert_is_tested_by_promtool() -> None:
    tested = set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts_test.yml").read_text()))
    assert tested == {rule["alert"] for rule in RULES}


async def test_every_statement_of_the_runbook_runs_as_a_dba(owner: Owner) -> None:
    statements = re.findall(r"`(SELECT [^`]+)`", " ".join(RUNBOOK.split()))
    assert len(statements) > 4
    async with owner.connection() as connection:
        for statement in statements:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE energy_dba")
                await connection.fetch(statement)
