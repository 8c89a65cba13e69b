"""The bundle that Superset imports (docs/bi/superset): whole, about relations that exist, with SQL that is right."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from docs.generate_bi import COLUMNS
from docs.generate_superset import DATASETS, FOLDER, columns_of
from tests.bi.conftest import BiDatabase
from tests.support import Owner

FILES = {path.relative_to(FOLDER).as_posix(): yaml.safe_load(path.read_text()) for path in FOLDER.rglob("*.yaml")}
REQUIRED = {
    "databases": {"database_name", "sqlalchemy_uri", "uuid", "version"},
    "datasets": {"table_name", "schema", "columns", "metrics", "uuid", "version", "database_uuid"},
    "charts": {"slice_name", "viz_type", "params", "uuid", "version", "dataset_uuid"},
    "dashboards": {"dashboard_title", "position", "metadata", "uuid", "version"},
}
"""What Superset's import asks of the files of a folder."""


def of(folder: str) -> dict[str, dict[str, Any]]:
    """The files of a folder by the id of each."""
    return {text["uuid"]: text for path, text in FILES.items() if path.startswith(f"{folder}/")}


CHARTS = list(of("charts").values())


def test_the_bundle_is_whole() -> None:
    assert FILES["metadata.yaml"]["type"] == "Dashboard"
    for folder, fields in REQUIRED.items():
        assert of(folder)
        for text in of(folder).values():
            assert fields <= text.keys()
            uuid.UUID(text["uuid"])
            assert text["version"] == "1.0.0"
    assert len({text.get("uuid") for text in FILES.values()}) == len(FILES)
    assert {text["database_uuid"] for text in of("datasets").values()} == set(of("databases"))
    assert {chart["dataset_uuid"] for chart in CHARTS} <= set(of("datasets"))


def test_the_dashboard_shows_every_chart_once() -> None:
    [dashboard] = of("dashboards").values()
    position = {key: item for key, item in dashboard["position"].items() if isinstance(item, dict)}
    shown = [item["meta"] for item in position.values() if item["type"] == "CHART"]
    assert {meta["uuid"]: meta["sliceName"] for meta in shown} == {c["uuid"]: c["slice_name"] for c in CHARTS}
    assert len({meta["chartId"] for meta in shown}) == len(CHARTS)
    for key, item in position.items():
        assert item["id"] == key
        for child in item.get("children", []):
            assert position[child]["parents"][-1] == key


async def test_the_columns_of_the_datasets_are_those_of_the_database(owner: Owner) -> None:
    rows = [tuple(row) for row in await owner.fetch(COLUMNS)]
    for path in DATASETS.glob("*.yaml"):
        dataset = yaml.safe_load(path.read_text())
        assert dataset["table_name"] == path.stem
        assert dataset["columns"] == columns_of(path.stem, rows), "run: make docs"
        assert dataset["main_dttm_col"] in [column["column_name"] for column in dataset["columns"]]


def query_of(chart: dict[str, Any]) -> str:
    """The chart's question as SQL, over all times, as Superset makes it of columns and metrics."""
    params, dataset = chart["params"], of("datasets")[chart["dataset_uuid"]]
    expressions = {metric["metric_name"]: metric["expression"] for metric in dataset["metrics"]}
    columns = [column for column in (params.get("x_axis"), *params["groupby"]) if column]
    metrics = params.get("metrics") or [params["metric"]]
    conditions = ["TRUE"]
    for condition in params["adhoc_filters"]:
        if condition["operator"] == "NOT IN":
            values = ", ".join(f"'{value}'" for value in condition["comparator"])
            conditions.append(f"{condition['subject']} NOT IN ({values})")
        else:
            assert condition["operator"] == "TEMPORAL_RANGE"
            conditions.append(f"{condition['subject']} < now()")
    selected = ", ".join([*columns, *(f"{expressions[name]} AS {name}" for name in metrics)])
    where = " AND ".join(conditions)
    grouping = ", ".join(columns)
    return f"SELECT {selected} FROM {dataset['schema']}.{dataset['table_name']} WHERE {where} GROUP BY {grouping}"


def answers(database: BiDatabase, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url, autocommit=True, prepare_threshold=None) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: Path(chart["slice_name"]).name)
def test_the_question_of_every_chart_has_an_answer(bi_database: BiDatabase, chart: dict[str, Any]) -> None:
    found = answers(bi_database, query_of(chart))
    assert found or chart["slice_name"] == "Rejected readings"  # nothing of this fleet was


def test_the_efficiencies_of_the_charts_are_ratios_of_sums(bi_database: BiDatabase) -> None:
    charts = {chart["slice_name"]: chart for chart in CHARTS}
    fleet = dict(answers(bi_database, query_of(charts["Efficiency of the fleet"])))
    shown = dict(answers(bi_database, "SELECT bucket, efficiency_ratio FROM bi.fleet_efficiency_daily"))
    assert {day: ratio and round(ratio, 4) for day, ratio in fleet.items()} == shown
    vehicles = {row[0]: row[1:] for row in answers(bi_database, query_of(charts["Lowest efficiency"]))}
    # 003: five days of 8 of 10 kWh, one of 13.5 of 15; 004: four of 8 of 10, and one parked, which does not count
    assert vehicles["V003"] == pytest.approx(((5 * 8 + 13.5) / 65, 11.5, 65, 53.5))
    assert vehicles["V004"] == pytest.approx((0.8, 8, 40, 32))
