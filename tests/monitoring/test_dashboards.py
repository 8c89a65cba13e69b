"""Grafana's dashboards: of the shape that its documentation gives, over sources and metrics that there are.

Their SQL is run by tests/bi/test_grafana.py.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from prometheus_client import Metric

from service.metrics import REGISTRY
from service.metrics_route import DATABASE_METRICS
from tests.monitoring.files import DASHBOARDS, RULES, matchers, targets, yaml_of

SCHEMA = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text())
COMPOSE = yaml_of("docker-compose.yml")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_the_documented_shape(name: str) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(DASHBOARDS[name])] == []


def test_the_three_dashboards_have_uids_of_their_own() -> None:
    assert {name: dashboard["uid"] for name, dashboard in DASHBOARDS.items()} == {
        "database": "energy-database",
        "fleet": "energy-fleet",
        "vehicle": "energy-vehicle",
    }


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_ids_of_their_own_and_lie_side_by_side(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        assert x + w <= 24, panel["title"]
        cells = set(itertools.product(range(x, x + w), range(y, y + h)))
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells


def test_a_single_figure_has_its_own_colours() -> None:
    # Grafana's own would make everything above 80 red
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            if panel["type"] == "stat":
                assert "thresholds" in panel["fieldConfig"]["defaults"], f"{name}: {panel['title']}"


def test_every_data_source_that_a_dashboard_names_is_provisioned() -> None:
    provisioned = {
        (source["type"], source["uid"]) for source in yaml_of("docs/monitoring/grafana/datasources.yml")["datasources"]
    }

    def sources(node: Any) -> set[tuple[str, str]]:
        if isinstance(node, list):
            return set().union(*map(sources, node))
        if not isinstance(node, dict):
            return set()
        found = set().union(*map(sources, node.values()))
        return found | {(node["datasource"]["type"], node["datasource"]["uid"])} if "datasource" in node else found

    assert sources(list(DASHBOARDS.values())) == provisioned


def labels_by_metric() -> dict[str, set[str]]:
    """What `/metrics` may print, and the labels that Prometheus or we put on it."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    always = {"job", "instance"}
    found = {"up": always, "energy_database_up": always, "energy_build_info": always | {"version"}}
    families: list[tuple[Metric, tuple[str, ...]]] = [
        (metric, collector._labelnames) for collector in REGISTRY._collector_to_names for metric in collector.describe()
    ]
    for metric, labels in families:
        for suffix in suffixes[metric.type]:
            found[metric.name + suffix] = always | set(labels) | ({"le"} if suffix == "_bucket" else set())
    of_objects = {"aggregate", "duty", "object", "stream", "state"}
    return found | dict.fromkeys(DATABASE_METRICS, always | of_objects)


def test_alerts_and_dashboards_read_metrics_that_there_are() -> None:
    known = labels_by_metric()
    expressions = [rule["expr"] for rule in RULES] + [target.query for target in targets("prometheus")]
    assert len(expressions) > 30
    for expression in expressions:
        found = list(matchers(expression))
        assert found, expression
        for metric, labels in found:
            assert metric in known, f"{metric} in {expression}"
            assert set(labels) <= known[metric], f"labels of {metric} in {expression}"


def test_every_metric_of_ours_is_looked_at_by_an_alert_or_a_dashboard() -> None:
    expressions = [rule["expr"] for rule in RULES] + [target.query for target in targets("prometheus")]
    read = {metric for expression in expressions for metric, _ in matchers(expression)}
    stems = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in labels_by_metric()}
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in read} == stems


def test_compose_mounts_what_is_there_where_it_is_looked_for() -> None:
    mounts = dict(
        mount.removesuffix(":ro").split(":")
        for service in ("prometheus", "grafana")
        for mount in COMPOSE["services"][service]["volumes"]
        if mount.startswith("./")
    )
    for source in mounts:
        assert (Path(__file__).parents[2] / source).is_file(), source
    [provider] = yaml_of("docs/monitoring/grafana/dashboards.yml")["providers"]
    for name in DASHBOARDS:
        assert mounts[f"./docs/monitoring/grafana/{name}.json"] == f"{provider['options']['path']}/{name}.json"
    prometheus = yaml_of("docs/monitoring/prometheus.yml")
    assert prometheus["rule_files"] == [mounts["./docs/monitoring/alerts.yml"]]
    [job] = prometheus["scrape_configs"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{COMPOSE['services']['prometheus']['secrets'][0]}"
    assert job["static_configs"][0]["targets"] == ["service:3000"]


def test_without_the_profile_nothing_of_it_is_asked_for() -> None:
    for name in ("prometheus", "grafana", "bi-login"):
        service = COMPOSE["services"][name]
        assert service["profiles"] == ["dashboards"]
        assert ":?" not in json.dumps(service).replace("POSTGRES_PASSWORD:?", "")
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    [source] = [
        source
        for source in yaml_of("docs/monitoring/grafana/datasources.yml")["datasources"]
        if source["uid"] == "energy"
    ]
    assert COMPOSE["services"]["bi-login"]["command"] == ["migrate", "--bi-login", source["user"]]
