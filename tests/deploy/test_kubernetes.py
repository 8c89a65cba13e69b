"""deploy/kubernetes, without a Kubernetes: schemas, and that names, labels, ports and secrets agree.

The schemas of Kubernetes come with `kubernetes-validate`. The operators' resources may have only the fields of
`crd_fields.txt`, which were looked up. Where `CRDS` names the folder of their CRDs, these decide as well.
"""

import copy
import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from service import __version__
from service.alerting.addresses import is_public
from service.http.app import create_app
from service.http.server import DRAIN_TIMEOUT_S
from service.settings import Settings, load_settings, variable_of
from tests.support import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
README = (DEPLOY / "README.md").read_text()
OVERLAY = KUBERNETES / "overlays/production"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())
CRDS = os.environ.get("CRDS")

FILES = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")
RESOURCES: list[dict[str, Any]] = [each for path in FILES for each in yaml.safe_load_all(path.read_text())]
OPERATORS = ("cnpg.io/v1", "monitoring.coreos.com/v1")


def is_of_an_operator(resource: dict[str, Any]) -> bool:
    return resource["apiVersion"].endswith(OPERATORS)


def resource(kind: str, name: str) -> dict[str, Any]:
    [found] = [each for each in RESOURCES if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def name_of(resource: dict[str, Any]) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


DEPLOYMENT = resource("Deployment", "energy")
PODS = {
    "service": DEPLOYMENT["spec"]["template"],
    "migrate": resource("Job", "energy-migrate")["spec"]["template"],
    "admin": resource("Pod", "energy-admin"),
}
CLUSTER = resource("Cluster", "energy-db")


def container(pod: str) -> dict[str, Any]:
    [only] = PODS[pod]["spec"]["containers"]
    return only


def environment(pod: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(pod)["env"]}


# schemas


@pytest.mark.parametrize("version", ["1.30.0", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("given", [each for each in RESOURCES if not is_of_an_operator(each)], ids=name_of)
def test_each_resource_is_valid_in_the_oldest_and_the_newest_kubernetes(given: dict[str, Any], version: str) -> None:
    assert "Kubernetes 1.30 or newer" in README
    kubernetes_validate.validate(given, version, strict=True)


def fields_of(value: Any, path: str = "") -> Iterator[str]:
    """The fields of a resource that end in a value, as `spec.storage.size str`; items of a list have []."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, f"{path}[]")
    else:
        # in some maps a name is the user's own
        free = re.sub(r"\.(parameters|matchLabels|limits|requests)\..+", r".\1.*", path)
        yield f"{free} {type(value).__name__}"


@pytest.mark.parametrize("given", [each for each in RESOURCES if is_of_an_operator(each)], ids=name_of)
def test_operators_resources_have_only_fields_that_were_looked_up_in_their_crds(given: dict[str, Any]) -> None:
    looked_up = (ROOT / "tests/deploy/crd_fields.txt").read_text().splitlines()
    used = {f"{given['apiVersion']} {given['kind']} {field}" for field in fields_of(given["spec"], "spec")}
    assert used - set(looked_up) == set()


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of a CRD that refuses a field that it does not have."""
    made = {key: value for key, value in schema.items() if not key.startswith("x-")}
    if "properties" in made:
        made["properties"] = {name: strict(inner) for name, inner in made["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    for name in ("items", "additionalProperties"):
        if isinstance(made.get(name), dict):
            made[name] = strict(made[name])
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


@pytest.mark.skipif(not CRDS, reason="CRDS names no folder with the CRDs of the operators")
def test_operators_resources_are_valid_by_their_crds() -> None:
    schemas = {}
    for path in Path(CRDS or "").glob("*.yaml"):
        for crd in yaml.safe_load_all(path.read_text()):
            for version in crd["spec"]["versions"]:
                api = f"{crd['spec']['group']}/{version['name']}"
                schemas[api, crd["spec"]["names"]["kind"]] = strict(version["schema"]["openAPIV3Schema"])
    checked = [each for each in RESOURCES if is_of_an_operator(each)]
    for each in checked:
        schema = schemas[each["apiVersion"], each["kind"]]
        schema["properties"]["metadata"] = {"type": "object"}
        jsonschema_rs.validator_for(schema).validate(each)
    assert len(checked) == 5


# what agrees with what


def test_every_file_is_in_its_kustomization() -> None:
    base = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())
    assert sorted(base["resources"]) == sorted(
        path.name for path in (KUBERNETES / "base").glob("*.yaml") if path.name != "kustomization.yaml"
    )
    [(base_folder)] = KUSTOMIZATION["resources"]
    assert (OVERLAY / base_folder).resolve() == KUBERNETES / "base"
    assert base["namespace"] == KUSTOMIZATION["namespace"] == resource("Namespace", "energy")["metadata"]["name"]
    beside = [each for path in FILES if "base" not in path.parts for each in yaml.safe_load_all(path.read_text())]
    assert {each["metadata"]["namespace"] for each in beside} == {base["namespace"]}


def test_every_secret_is_made_by_the_overlay_the_operator_or_a_command_of_the_readme() -> None:
    made = {
        each["name"]: {file.partition("=")[0] for file in each["files"]} for each in KUSTOMIZATION["secretGenerator"]
    }
    # https://cloudnative-pg.io: "uri" of the owner of the application's database, and the authority of the server
    made |= {"energy-db-app": {"uri"}, "energy-db-ca": {"ca.crt"}}
    [by_hand] = re.findall(r"create secret generic (\S+) --from-file=(\w+)=", README)
    made[by_hand[0]] = {by_hand[1]}
    used: set[tuple[str, str]] = set()
    for pod in PODS.values():
        for volume in pod["spec"]["volumes"]:
            secret = volume.get("secret", {"items": []})
            used |= {(secret["secretName"], item["key"]) for item in secret["items"]}
    [endpoint] = resource("ServiceMonitor", "energy")["spec"]["endpoints"]
    credentials = resource("ObjectStore", "energy-backups")["spec"]["configuration"]["s3Credentials"]
    for each in (endpoint["authorization"]["credentials"], *credentials.values()):
        used.add((each["name"], each["key"]))
    assert used == {(name, key) for name, keys in made.items() for key in keys}
    # references of the operators' resources do not follow a name with a hash
    fixed = {each["name"] for each in KUSTOMIZATION["secretGenerator"] if each.get("options")}
    assert fixed == {each["name"] for each in credentials.values()}
    assert CLUSTER["metadata"]["name"] == "energy-db"
    files = {file.partition("=")[2] for each in KUSTOMIZATION["secretGenerator"] for file in each["files"]}
    assert files == set(re.findall(r"> (secrets/[\w-]+)", README)) - {"secrets/database-read-url"}
    ignored = subprocess.run(["git", "check-ignore", "-q", str(OVERLAY / "secrets/password")], cwd=ROOT, check=False)
    assert ignored.returncode in {0, 128}  # 128: no repository


@pytest.mark.parametrize("pod", PODS)
def test_each_secret_is_a_file_that_is_mounted_where_its_variable_says(pod: str) -> None:
    mounts = {each["name"]: each["mountPath"] for each in container(pod)["volumeMounts"]}
    files = {
        f"{mounts[volume['name']]}/{item['path']}"
        for volume in PODS[pod]["spec"]["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }
    named = {value for name, value in environment(pod).items() if name.endswith("_FILE") or name == "PGSSLROOTCERT"}
    assert named == files
    assert environment(pod)["PGSSLMODE"] == "verify-full"


def test_the_variables_are_settings_with_values_that_the_service_takes(tmp_path: Path) -> None:
    known = {variable_of(field.name) for field in dataclasses.fields(Settings)}
    known |= {f"{name}_FILE" for name in ("DATABASE_URL", "ENERGY_SERVICE_PASSWORD")} | {"PGSSLMODE", "PGSSLROOTCERT"}
    [generated] = KUSTOMIZATION["configMapGenerator"]
    literals = dict(each.split("=", 1) for each in generated["literals"])
    for pod in PODS:
        assert environment(pod).keys() | literals.keys() <= known
    for pod in ("service", "migrate"):
        assert container(pod)["envFrom"] == [{"configMapRef": {"name": generated["name"]}}]
    [url] = re.findall(r'echo "(postgresql://[^"]+)" > secrets/database-url', README)
    (tmp_path / "url").write_text(url.replace("$(cat secrets/service-password)", "secret"))
    settings = load_settings(literals | environment("service") | {"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url == "postgresql://energy_app:secret@energy-db-rw:5432/energy"
    assert (settings.host, settings.auth, settings.trusted_proxies) == ("0.0.0.0", "required", ())  # noqa: S104
    assert f"@{CLUSTER['metadata']['name']}-rw:5432/{CLUSTER['spec']['bootstrap']['initdb']['database']}" in url
    assert container("migrate")["args"] == ["migrate", "--service-login", url.partition("//")[2].partition(":")[0]]


def test_ports_and_probes_are_those_of_the_service() -> None:
    [port] = container("service")["ports"]
    assert port == {"name": "http", "containerPort": int(environment("service")["PORT"])}
    [outer] = resource("Service", "energy")["spec"]["ports"]
    assert (outer["targetPort"], outer["name"]) == ("http", "http")
    routes = {route.path for route in create_app(None, Settings()).routes}  # type: ignore[arg-type]
    probes = {name: container("service")[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}
    [endpoint] = resource("ServiceMonitor", "energy")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert {"/health/live", "/health/ready", "/metrics"} <= routes
    for pods in resource("NetworkPolicy", "energy-service")["spec"]["ingress"]:
        assert pods["ports"] == [{"port": "http"}]


def test_a_pod_that_ends_has_time_for_the_requests_under_way() -> None:
    grace = DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    pause = container("service")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace == 40
    assert grace >= pause + DRAIN_TIMEOUT_S + 10


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """True if a label selector selects something with these labels."""
    wanted = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )


def test_labels_select_the_pods_that_are_meant() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    labels |= {
        cluster["metadata"]["name"]: {"cnpg.io/cluster": cluster["metadata"]["name"]}
        for cluster in RESOURCES
        if cluster["kind"] == "Cluster"
    }

    def selected(selector: dict[str, Any]) -> set[str]:
        return {name for name, each in labels.items() if selects(selector, each)}

    databases = {"energy-db", "energy-db-restored"}
    service = resource("Service", "energy")
    assert selected({"matchLabels": service["spec"]["selector"]}) == {"service"}
    assert selects(resource("ServiceMonitor", "energy")["spec"]["selector"], service["metadata"]["labels"])
    for selector in (
        DEPLOYMENT["spec"]["selector"],
        resource("PodDisruptionBudget", "energy")["spec"]["selector"],
        *(each["labelSelector"] for each in DEPLOYMENT["spec"]["template"]["spec"]["topologySpreadConstraints"]),
        resource("NetworkPolicy", "energy-service")["spec"]["podSelector"],
    ):
        assert selected(selector) == {"service"}
    egress, inner = (resource("NetworkPolicy", f"energy-{name}")["spec"] for name in ("egress", "database"))
    assert selected(egress["podSelector"]) == set(PODS)
    assert selected(egress["egress"][0]["to"][0]["podSelector"]) == databases
    assert selected(inner["podSelector"]) == databases
    assert selected(inner["ingress"][0]["from"][0]["podSelector"]) == set(PODS)
    assert selected(inner["ingress"][1]["from"][0]["podSelector"]) == databases
    given = set(re.findall(r"^    kubectl label namespace \S+ (energy/\w+=true)$", README, re.MULTILINE))
    asked = re.findall(r"'(energy/\w+)': '(\w+)'", str([inner, resource("NetworkPolicy", "energy-service")]))
    assert {f"{name}={value}" for name, value in asked} == given


def test_alerts_leave_for_alertmanager_and_for_public_addresses_alone() -> None:
    policy = resource("NetworkPolicy", "energy-alerts")["spec"]
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    assert {name for name, each in labels.items() if selects(policy["podSelector"], each)} == {"service", "admin"}
    managers, internet = policy["egress"]
    assert managers["to"] == [{"namespaceSelector": {"matchLabels": {"energy/monitoring": "true"}}}]
    assert (managers["ports"], internet["ports"]) == ([{"port": 9093}], [{"port": 443}])
    blocks = [each["ipBlock"] for each in internet["to"]]
    for text in (
        *("8.8.8.8", "2606:4700::1111", "10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
        *("fd00::1", "fe80::1"),
    ):
        address = ip_address(text)
        may_leave = any(
            address in ip_network(block["cidr"])
            and not any(address in ip_network(each) for each in block.get("except", []))
            for block in blocks
        )
        assert may_leave == is_public(text), text


@pytest.mark.parametrize("pod", PODS)
def test_no_pod_has_a_right_it_can_do_without(pod: str) -> None:
    spec = PODS[pod]["spec"]
    outer, inner = spec["securityContext"], container(pod)["securityContext"]
    user = int(re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0])
    assert (outer["runAsNonRoot"], outer["runAsUser"], outer["fsGroup"]) == (True, user, user)
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert container(pod)["resources"]["limits"].keys() == {"cpu", "memory"}
    for volume in spec["volumes"]:
        assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


def test_the_database_acknowledges_on_two_instances_and_is_backed_up() -> None:
    stores = resource("ObjectStore", "energy-backups")["metadata"]["name"]
    restored = resource("Cluster", "energy-db-restored")
    for cluster in (CLUSTER, restored):
        assert cluster["spec"]["instances"] == 3
        assert cluster["spec"]["postgresql"]["synchronous"] == {
            "method": "any",
            "number": 1,
            "dataDurability": "required",
            "failoverQuorum": True,
        }
        assert cluster["spec"]["postgresql"]["shared_preload_libraries"] == ["timescaledb"]
        assert cluster["spec"]["postgresql"]["parameters"]["timescaledb.license"] == "timescale"
        assert "host all energy_owner all reject" in cluster["spec"]["postgresql"]["pg_hba"]
        assert "enableSuperuserAccess" not in cluster["spec"]
    [plugin] = CLUSTER["spec"]["plugins"]
    backup = resource("ScheduledBackup", "energy-db-nightly")["spec"]
    assert plugin == {"name": plugin["name"], "isWALArchiver": True, "parameters": {"barmanObjectName": stores}}
    assert backup["pluginConfiguration"]["name"] == plugin["name"]
    assert backup["cluster"]["name"] == CLUSTER["metadata"]["name"]
    # recovery reads the backups of that database, and refuses smaller limits than it had
    [source] = restored["spec"]["externalClusters"]
    assert source["name"] == restored["spec"]["bootstrap"]["recovery"]["source"]
    assert source["plugin"]["name"] == plugin["name"]
    assert source["plugin"]["parameters"] == {"barmanObjectName": stores, "serverName": CLUSTER["metadata"]["name"]}
    had, has = (each["spec"]["postgresql"]["parameters"] for each in (CLUSTER, restored))
    assert {name: value for name, value in had.items() if name in has} == has
    assert {"max_connections", "max_worker_processes"} <= has.keys()
    assert "plugins" not in restored["spec"]
    made = CLUSTER["spec"]["bootstrap"]["initdb"]
    assert {name: restored["spec"]["bootstrap"]["recovery"][name] for name in ("database", "owner")} == {
        name: made[name] for name in ("database", "owner")
    }


def test_the_image_of_postgresql_has_the_community_edition_in_the_version_of_its_tag() -> None:
    dockerfile = (DEPLOY / "postgres/Dockerfile").read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, re.MULTILINE))
    postgresql = arguments["POSTGRES"].partition("-")[0]
    tag = f"{postgresql}-ts{arguments['TIMESCALEDB']}"
    images = {each["spec"]["imageName"].partition(":")[2] for each in RESOURCES if each["kind"] == "Cluster"}
    images |= set(re.findall(r"postgres:(\S+)$", (OVERLAY / "kustomization.yaml").read_text(), re.MULTILINE))
    assert images | set(re.findall(r"postgres:(\S+) deploy", dockerfile)) == {tag}
    major = postgresql.partition(".")[0]
    assert set(re.findall(r"postgresql[-/](\d+)", dockerfile)) == {major}
    packages = re.findall(r'"(timescaledb\S+)=\$version\*"', dockerfile)
    assert packages == [f"timescaledb-2-loader-postgresql-{major}", f"timescaledb-2-postgresql-{major}"]
    assert dockerfile.strip().endswith("USER 26:26")
    compose = (ROOT / "docker-compose.yml").read_text()
    assert f"timescale/timescaledb:{arguments['TIMESCALEDB']}-pg" in compose, "the same version as compose's"


# as it is applied

KUSTOMIZE = next(
    (each for each in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(each[0])),
    None,
)


def build(folder: Path, kustomization: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources of the overlay with another kustomization."""
    assert KUSTOMIZE
    shutil.copytree(KUBERNETES, folder / "kubernetes")
    overlay = folder / "kubernetes/overlays/production"
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (overlay / "secrets").mkdir(exist_ok=True)
    for generator in kustomization["secretGenerator"]:
        for file in generator["files"]:
            (overlay / file.partition("=")[2]).write_text("secret")
    result = subprocess.run([*KUSTOMIZE, str(overlay)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


@pytest.mark.skipif(not KUSTOMIZE, reason="neither kustomize nor kubectl is installed")
def test_with_the_patch_of_the_readme_the_service_reads_from_the_standbys(tmp_path: Path) -> None:
    kustomization = copy.deepcopy(KUSTOMIZATION)
    [file] = re.findall(r"`(database-read-url=\S+)`", README)
    [patch] = re.findall(r"```yaml\n# one more of the overlay's patches\n(.+?)```", README, re.DOTALL)
    kustomization["secretGenerator"][0]["files"].append(file)
    kustomization["patches"] += yaml.safe_load(patch)
    built = build(tmp_path, kustomization)
    [deployment] = [each for each in built if each["kind"] == "Deployment"]
    kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)
    pod = deployment["spec"]["template"]["spec"]
    [path] = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "DATABASE_READ_URL_FILE"]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if path.startswith(f"{each['mountPath']}/")]
    [volume] = [each["secret"] for each in pod["volumes"] if each["name"] == mount["name"]]
    key = {item["path"]: item["key"] for item in volume["items"]}[path.removeprefix(f"{mount['mountPath']}/")]
    [secret] = [each for each in built if each["metadata"]["name"] == volume["secretName"]]
    assert key in secret["data"]


@pytest.mark.skipif(not KUSTOMIZE, reason="neither kustomize nor kubectl is installed")
def test_the_overlay_builds_and_its_pods_find_what_it_generates(tmp_path: Path) -> None:
    built = build(tmp_path, KUSTOMIZATION)
    names = {(each["kind"], each["metadata"]["name"]) for each in built}
    for each in built:
        if not is_of_an_operator(each):
            kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        if each["kind"] in {"Deployment", "Job"}:
            pod = each["spec"]["template"]["spec"]
            [only] = pod["containers"]
            assert only["image"] == f"registry.example.org/energy/ingestion-engine:{__version__}"
            assert ("ConfigMap", only["envFrom"][0]["configMapRef"]["name"]) in names
            secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
            assert {("Secret", name) for name in secrets if not name.startswith("energy-db-")} <= names
        if each["kind"] == "Cluster":
            assert each["spec"]["imageName"].startswith("registry.example.org/")
