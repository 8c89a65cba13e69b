"""What stands in docs/monitoring, as data."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support import ROOT

FOLDER = ROOT / "docs/monitoring"
GRAFANA = FOLDER / "grafana"
RUNBOOK = (ROOT / "docs/monitoring.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))
}


class Target(NamedTuple):
    """A query of a panel."""

    dashboard: str
    panel: str
    query: str
    format: str


def targets(source: str) -> Iterator[Target]:
    """The queries of all panels on the data source of this uid."""
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["uid"] == source:
                    yield Target(
                        name,
                        panel["title"],
                        target.get("rawSql") or target["expr"],
                        target.get("format", "time_series"),
                    )


def yaml_of(path: str | Path) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def matchers(expression: str) -> Iterator[tuple[str, list[str]]]:
    """Each metric that a PromQL expression reads, with the labels that its selector names."""
    for metric, selector in re.findall(r"\b(energy_\w+|up)\b(?:\{([^}]*)\})?", expression):
        yield metric, re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)
