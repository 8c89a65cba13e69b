"""The documents say what the code does."""

import dataclasses
import json
import re
import shlex
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from docs import generate_sql_api
from service import __version__, errors, settings
from service.database.calls import GET_DATABASE_METRICS, GET_METER_STATUS, GET_PRIMARY_STATE, GET_VEHICLE_STATUS
from service.database.pool import Database
from service.http.app import create_app
from service.http.routes import alerts, analytics, costs, devices, events, exchanges, fleet, history, links, sessions
from service.readings.model import METER, VEHICLE
from service.settings import Settings, load_settings
from tests.http.test_seed_example import SEED_TIME
from tests.support import ROOT, Api, Owner, TestDatabase

README = (ROOT / "README.md").read_text()
HTTP_API = (ROOT / "docs/http-api.md").read_text()
DEVICES = (ROOT / "docs/devices.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
COMMANDS = (ROOT / "docs/cli.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("sql/*.md"),
        *ROOT.glob("deploy/*.md"),
        *(path for path in ROOT.glob("tests/**/*.md") if "node_modules" not in path.parts),
    ]
)


def table(heading: str, text: str) -> list[list[str]]:
    """The cells of the table whose first column has this heading, without back quotes around them."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def camel(path: str) -> str:
    """A path as people read it: {vehicle_id} is {vehicleId}."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), path)


@pytest.fixture(scope="module")
def app() -> Litestar:
    return create_app(None, Settings())  # type: ignore[arg-type]


def test_every_route_is_documented_and_every_documented_route_exists(app: Litestar) -> None:
    document = app.openapi_schema.to_schema()
    served = {f"{method.upper()} {camel(path)}" for path, methods in document["paths"].items() for method in methods}
    assert {row[0] for row in table("route", HTTP_API)} == served | {"GET /", "GET /docs", "GET /metrics"}


async def test_every_function_of_api_is_called_by_the_route_or_command_the_documents_say(owner: Owner) -> None:
    documented = {
        name
        for row in [*table("route", HTTP_API), *table("command", COMMANDS)]
        for name in re.findall(r"api\.\w+", row[1])
    }
    in_database = await owner.fetch("SELECT 'api.' || proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace")
    # called by every ingest route, for what they refuse; and what energy import needs beside the two that store
    beside = {"api.ingest_rejected_readings", "api.make_import_table"}
    beside |= {"api.begin_import", "api.record_import", "api.finish_import"}
    # for the keys of requests
    beside |= {"api.get_api_keys", "api.get_api_key_revision", "api.record_api_key_use"}
    # for the delivery of alerts
    beside |= {"api.lease_alertmanager", "api.settle_alertmanager", "api.list_current_alerts"}
    beside |= {"api.lease_webhook_messages", "api.settle_webhook_message"}
    beside |= {"api.await_standbys"}  # by the others, and for a link that is gone already
    assert documented | beside == {row[0] for row in in_database}
    called = {
        "POST /v1/ingest/meter": METER.ingest.query,
        "POST /v1/ingest/vehicle": VEHICLE.ingest.query,
        "POST /v1/ingest/meter/batch": METER.ingest.query,
        "POST /v1/ingest/vehicle/batch": VEHICLE.ingest.query,
        "GET /v1/analytics/performance/{vehicleId}": analytics.GET_VEHICLE_PERFORMANCE,
        "GET /v1/analytics/efficiency": analytics.LIST_VEHICLE_EFFICIENCY,
        "GET /v1/analytics/efficiency/{vehicleId}": analytics.LIST_EFFICIENCY_BUCKETS,
        "GET /v1/analytics/cost": costs.LIST_ENERGY_COSTS,
        "GET /v1/analytics/cost/{vehicleId}": costs.LIST_ENERGY_COSTS,
        "GET /v1/analytics/fleet": fleet.GET_FLEET_SUMMARY,
        "GET /v1/fleet": fleet.GET_FLEET_OVERVIEW,
        "GET /v1/events": events.GET_FLEET_PULSE,
        "GET /v1/sessions": sessions.LIST_SESSIONS,
        "GET /v1/sessions/{vehicleId}": sessions.LIST_VEHICLE_SESSIONS,
        "GET /v1/devices": devices.LIST_DEVICES + devices.LIST_DEVICES_BY_ENERGY,
        "GET /v1/devices/meter/{meterId}/vehicles": links.LIST_METER_VEHICLES,
        "GET /v1/alerts": alerts.LIST_ALERTS,
        "GET /v1/alerts/{alertId}": alerts.GET_ALERT,
        "POST /v1/alerts/{alertId}/acknowledge": alerts.ACKNOWLEDGE_ALERT,
        "GET /v1/links/{vehicleId}": links.LIST_VEHICLE_METERS,
        "PUT /v1/links/{vehicleId}": links.LINK_VEHICLE,
        "DELETE /v1/links/{vehicleId}": links.UNLINK_VEHICLE,
        "GET /v1/status/meter/{meterId}": GET_METER_STATUS,
        "GET /v1/status/vehicle/{vehicleId}": GET_VEHICLE_STATUS,
        "GET /health/ready": GET_PRIMARY_STATE,
        "GET /metrics": GET_DATABASE_METRICS,
    }
    for kind in ("meter", "vehicle"):
        called[f"GET /v1/history/{kind}/{{deviceId}}"] = history.LIST_READINGS[kind] + history.LIST_BUCKETS[kind]
        called[f"GET /v1/devices/{kind}/{{deviceId}}"] = devices.GET_DEVICE_PROFILE
        called[f"PUT /v1/devices/{kind}/{{deviceId}}"] = devices.SET_DEVICE_PROFILE
        called[f"GET /v1/devices/{kind}/{{deviceId}}/exchange"] = exchanges.LIST_REGISTER_EXCHANGES
        called[f"POST /v1/devices/{kind}/{{deviceId}}/exchange"] = exchanges.EXCHANGE_REGISTER
    for route, functions, _ in table("route", HTTP_API):
        for function in re.findall(r"api\.\w+", functions):
            assert function in called.get(route, ""), route
    calls = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    assert set(re.findall(r"api\.\w+(?=\()", calls)) == {row[0] for row in in_database}


def test_outcomes_and_problems_have_the_documented_status() -> None:
    assert {row[0]: int(row[1]) for row in table("outcome", HTTP_API)} == errors.OUTCOMES
    assert {row[0]: int(row[1]) for row in table("problem", HTTP_API)} == errors.PROBLEMS


async def test_every_outcome_of_the_sql_functions_is_in_the_table(owner: Owner) -> None:
    sources = await owner.fetch(
        "SELECT coalesce(pg_get_function_sqlbody(oid), prosrc) FROM pg_proc "
        "WHERE proname ~ '^(check|reject|judge|ingest)_' AND pronamespace::regnamespace::text IN ('telemetry', 'api')"
    )
    text = "\n".join(row[0] for row in sources)
    raised = set(re.findall(r"'((?:id|value|timestamp|field)_[a-z_]+|stored|duplicate|conflict)'", text))
    assert raised <= errors.OUTCOMES.keys()
    assert {"stored", "duplicate", "conflict", "id_invalid", "value_out_of_range", "timestamp_too_old"} <= raised


async def test_every_sqlstate_the_functions_raise_is_mapped_and_documented(owner: Owner) -> None:
    sources = await owner.fetch(
        "SELECT prosrc FROM pg_proc WHERE pronamespace::regnamespace::text IN ('telemetry', 'api')"
    )
    raised = set(re.findall(r"'(IE\w{3})'", "\n".join(row[0] for row in sources)))
    mapped = {state: code for state, code in errors.SQLSTATES.items() if state.startswith("IE")}
    assert raised == mapped.keys()
    assert {row[0]: row[1] for row in table("SQLSTATE", (ROOT / "sql/README.md").read_text())} == mapped
    assert set(errors.SQLSTATES.values()) <= errors.PROBLEMS.keys()


@pytest.mark.skipif((datetime.now(UTC) - SEED_TIME).days > 725, reason="the example has left the retention")
@pytest.mark.usefixtures("without_example")
async def test_the_first_readings_answer_what_the_documents_print(api: Api) -> None:
    [session] = re.findall(r"```console\n(\$ curl -X POST \S+/meter.*?)```", README, re.DOTALL)
    more = re.findall(r"```console\n(.*?)```", README + DEVICES, re.DOTALL)
    assert session in more
    exchanges = re.findall(r"\$ (curl .*)\n(.*)\n", "".join(more))
    assert len(exchanges) == 7
    for command, printed in exchanges:
        words = shlex.split(command)
        [url] = [word for word in words if word.startswith("http://127.0.0.1:3000")]
        headers = {"content-type": "application/json"} if "-H" in words else {}
        body = words[words.index("-d") + 1].encode() if "-d" in words else None
        response = await api.http.request(
            "POST" if body else "GET", url.split(":3000")[1], content=body, headers=headers
        )
        number = r'(?<="requestId":")[^"]+'
        assert re.sub(number, "", response.text) == re.sub(number, "", printed), command


def test_settings_are_the_same_in_code_documents_and_env_example() -> None:
    names = set(re.findall(r'"([A-Z][A-Z_]+)"', (ROOT / "service/settings.py").read_text()))
    assert {row[0] for row in table("variable", CONFIGURATION)} == names
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == names | {
        "POSTGRES_PASSWORD",
        "POSTGRES_MEMORY",
        "ENERGY_SERVICE_PASSWORD",
        "ENERGY_BI_PASSWORD",
        "ENERGY_DBA_PASSWORD",
        "ENERGY_ARCHIVE_PASSWORD",
        "GRAFANA_PASSWORD",
        "ENERGY_DOMAIN",
    }
    assert {settings.variable_of(field.name) for field in dataclasses.fields(Settings)} == names
    default = Settings()
    printed = {row[0]: row[1] for row in table("variable", CONFIGURATION) if row[1]}
    assert load_settings(printed) == default
    in_example = dict(re.findall(r"^#(HOST|PORT|ENERGY_\w+)=(.+)$", example, re.MULTILINE))
    assert load_settings(in_example) == default
    assert settings.Settings.__dataclass_params__.frozen


def test_the_sql_reference_is_what_the_comments_say(
    test_database: TestDatabase, database: Database, owner: Owner
) -> None:
    if test_database.is_embedded:  # another session, as the pool's works as energy_service
        with pytest.MonkeyPatch.context() as patch:
            written: list[str] = []
            patch.setattr(generate_sql_api, "TARGET", type("Target", (), {"write_text": staticmethod(written.append)}))
            generate_sql_api.main()
        rendered = written[0]
    else:
        rendered = generate_sql_api.render(test_database.url)
    assert (ROOT / "docs/sql-api.md").read_text() == rendered, "run: make docs"


def prose_of(document: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", document.read_text())


def anchors_of(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading() -> None:
    checked = 0
    for document in DOCUMENTS:
        prose = prose_of(document)
        for link in [*re.findall(r"\]\(([^)\s]+)\)", prose), *re.findall(r'(?:src|href)="([^"]+)"', prose)]:
            if re.match(r"https?://", link):
                continue
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name}: {link}"
            assert not anchor or anchor in anchors_of(target), f"{document.name}: {link}"
            checked += 1
    assert checked > 100


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    listed = {(ROOT / "docs" / link).resolve() for link in re.findall(r"^\| \[[^]]+\]\(([^)]+)\)", index, re.MULTILINE)}
    assert {page for page in ROOT.glob("docs/*.md") if page.name != "README.md"} <= listed


def test_the_site_has_every_page_of_the_index() -> None:
    def pages(entry: object) -> set[str]:
        if isinstance(entry, str):
            return {entry}
        entries = entry.values() if isinstance(entry, dict) else entry
        return {page for each in entries for page in pages(each)}  # type: ignore[attr-defined]

    index = (ROOT / "docs/README.md").read_text()
    listed = {(ROOT / "docs" / link).resolve() for link in re.findall(r"^\| \[[^]]+\]\(([^)]+)\)", index, re.MULTILINE)}
    site = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    shown = {(ROOT / page).resolve() for page in pages(site["nav"])}
    assert shown == listed | {ROOT / "docs/README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/adr/*.md")}
    assert site["theme"]["font"] is False
    assert site["extra_javascript"] == ["mermaid.min.js"]


def test_the_way_of_a_reading_names_modules_and_functions_that_exist() -> None:
    steps = table("step", ARCHITECTURE)
    assert [row[0] for row in steps] == [str(number + 1) for number in range(len(steps))]
    for _, module, name, _ in steps:
        source = (ROOT / module).read_text()
        assert re.search(rf"^ *(?:(?:async )?def |class )?{name}\b", source, re.MULTILINE), f"{module}: {name}"
    functions = re.findall(r"^\| \d+ \| `(\w+)\.(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert len(functions) >= 5
    for schema, function in functions:
        assert (ROOT / f"sql/{schema}/{function}.sql").exists(), function


def test_every_path_that_a_document_names_exists() -> None:
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":  # tells of what was
            continue
        for path in re.findall(r"`((?:service|sql|tests|bench|docs|deploy)/[\w./-]+)`", prose_of(document)):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


MOST_WORDS = 25
QUESTION = re.compile(r"\W*(?:What|Whatever|Who|Whoever|Whose|Which|Where|Wherever|When|Whether|Why|How)\b")


def sentences_of(document: Path) -> list[str]:
    """The sentences of a document's paragraphs and lists; tables, headings and generated text are left out."""
    prose = re.sub(r"(?s)<!-- written by.*?<!-- end -->", "", prose_of(document))
    prose = re.sub(r"(?m)^(?:\||#).*$", "", prose)
    prose = re.sub(r"(?m)^ *(?:[-*]|\d+\.) ", "\n\n", prose)
    prose = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "x", prose))
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", prose)]
    return [part for paragraph in paragraphs for part in re.split(r"(?<=[.!?:;])\W*\s+(?=\W*[A-Z0-9x])|: ", paragraph)]


@pytest.mark.parametrize(
    "document", [page for page in DOCUMENTS if page.name != "sql-api.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_sentences_are_short_and_begin_with_their_subject(document: Path) -> None:
    sentences = sentences_of(document)
    assert [each for each in sentences if len(re.findall(r"\w\S*", each)) > MOST_WORDS] == []
    assert [each for each in sentences if QUESTION.match(each) and not each.endswith("?")] == []


def test_every_reference_in_the_openapi_document_resolves(app: Litestar) -> None:
    document = app.openapi_schema.to_schema()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node = document
        for step in reference.split("/"):
            node = node[step]
    assert document["info"]["version"] == __version__


async def test_the_documentation_page_needs_no_other_server(api: Api) -> None:
    root = await api.http.get("/docs")
    assert root.status_code == 200
    assert re.findall(r'(?:src|href)="(https?://[^"]+)"', root.text) == []
    assets = set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', root.text))
    assert len(assets) == 3
    for asset in assets:
        response: httpx.Response = await api.http.get(asset)
        assert response.status_code == 200
        assert len(response.content) > 10_000


def test_the_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert project["license"] == "ISC"


def test_compose_and_dockerfile_name_only_what_is_there() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copies = [line.split()[:-1] for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)]
    sources = [word for copy in copies for word in copy]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source.split('/')[0]}" in ignored, f".dockerignore keeps {source} out"
    compose = (ROOT / "docker-compose.yml").read_text()
    assert "USER 10001:10001" in dockerfile
    for hardened in ("read_only: true", 'cap_drop: ["ALL"]', "no-new-privileges:true", "ENERGY_AUTH: required"):
        assert hardened in compose
    assert re.search(
        r"image: timescale/timescaledb:\d+\.\d+\.\d+-pg1[678](@sha256:[0-9a-f]{64})?$", compose, re.MULTILINE
    )
    assert "-oss" not in compose
    for password in re.findall(r"PASSWORD\S*: (\S.*)", compose):
        assert password.startswith("${"), "a secret is baked in"


def test_the_tests_named_for_the_seeds_mistakes_exist() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "tests/README.md").read_text())
    defined = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(table("mistake of the seed", (ROOT / "tests/README.md").read_text())) == 14
    assert [name for name in named if f"def {name}(" not in defined] == []
