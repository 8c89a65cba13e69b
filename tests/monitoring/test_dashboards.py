"""Grafana's dashboards: of the shape that its documentation gives, over sources and metrics that there are.

Their SQL is run by tests/bi/test_grafana.py.
"""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from prometheus_client import Metric

from service.http.routes.metrics import DATABASE_METRICS
from service.observability.metrics import REGISTRY
from tests.monitoring.files import DASHBOARDS, RULES, RUNBOOK, matchers, targets, yaml_of
from tests.support import TestDatabase
from tests.support.processes import assert_one_plain_line, run

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
    ups = ("up", "energy_database_up", "energy_replica_up", "energy_replica_lag_seconds")
    found = dict.fromkeys(ups, always) | {"energy_build_info": always | {"version"}}
    families: list[tuple[Metric, tuple[str, ...]]] = [
        (metric, collector._labelnames) for collector in REGISTRY._collector_to_names for metric in collector.describe()
    ]
    for metric, labels in families:
        for suffix in suffixes[metric.type]:
            found[metric.name + suffix] = always | set(labels) | ({"le"} if suffix == "_bucket" else set())
    of_objects = {"aggregate", "duty", "object", "kind", "state"}
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


@pytest.mark.parametrize("name", ["prometheus", "grafana", "bi-login"])
def test_a_container_of_the_profile_has_no_right_it_can_do_without(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    if name != "bi-login":  # which is an image of ours
        assert re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", service["image"]), (
            "one version, not the newest there is"
        )
    mounts = [mount for mount in service.get("volumes", []) if mount.startswith("./")]
    assert all(mount.endswith(":ro") for mount in mounts)


def test_grafana_lets_nobody_in_without_a_password_and_changes_no_dashboard() -> None:
    grafana = COMPOSE["services"]["grafana"]
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert grafana["environment"]["GF_USERS_ALLOW_SIGN_UP"] == "false"
    script = grafana["entrypoint"][2].replace("$$", "$").replace("/run.sh", "true")
    for password, status in (("", 1), ("something", 0)):
        environment = {"PATH": os.environ["PATH"], "GF_SECURITY_ADMIN_PASSWORD": password}
        ended = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == status
        assert ("GRAFANA_PASSWORD" in ended.stderr) == bool(status)
    [provider] = yaml_of("docs/monitoring/grafana/dashboards.yml")["providers"]
    assert provider["allowUiUpdates"] is False
    assert all(dashboard["editable"] is False for dashboard in DASHBOARDS.values())


def test_the_login_of_the_profile_is_not_made_without_a_password() -> None:
    command = COMPOSE["services"]["bi-login"]["command"]
    refused = run(*command, DATABASE_URL="postgresql://postgres@127.0.0.1:1/energy", ENERGY_BI_PASSWORD="")
    assert_one_plain_line(refused, "ENERGY_BI_PASSWORD")


def test_the_documented_command_leaves_the_token_of_a_read_key_and_nothing_else(
    migrated_database: TestDatabase,
) -> None:
    [create, filtered] = re.findall(
        r"^docker compose run --rm -T migrate (.+) \| (.+) > prometheus.key$", RUNBOOK, re.MULTILINE
    )[0]
    made = run(*create.split(), on=migrated_database)
    assert made.returncode == 0, made.stderr
    token = subprocess.run(["sh", "-c", filtered], input=made.stdout, capture_output=True, text=True, check=True).stdout
    key = run("keys", "list", on=migrated_database)
    assert re.fullmatch(r"\w+\.[\w-]{40,}\n", token)
    [listed] = [line.split() for line in key.stdout.splitlines() if "prometheus" in line]
    assert listed[0] == token.split(".")[0]
    assert listed[1] == "read"
