"""The page and its assets over HTTP: what they may load, who may have them, and that nothing else is served."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.commands.doctor import examine
from service.database.pool import Database
from service.embedded import __main__ as set_up
from service.embedded import install
from service.http.assets import Assets
from service.http.routes import dashboard
from service.http.routes.dashboard import ASSETS
from service.settings import Settings
from tests.support import Api, assert_problem, served

LOCK = dashboard.HERE / "package-lock.json"


async def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(api: Api) -> None:
    response = await api.http.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        rule.strip().split(" ", 1) for rule in response.headers["content-security-policy"].split(";") if rule.strip()
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_no_asset_names_another_server_or_styles_or_scripts_in_its_markup() -> None:
    for path in ASSETS.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text), path.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|document\.write", text), path.name
        if path.suffix == ".html":
            assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=)", text)


def test_the_page_has_no_threshold_of_an_efficiency_and_compares_none() -> None:
    for path in ASSETS.glob("*.js"):
        text = path.read_text()
        assert not re.search(r"0\.85|\b85\b", text), path.name
        assert not re.search(r"(?:[Rr]atio|batteryTemp)\b[\w\s.]*[<>]=?\s*[\d.]", text), path.name


async def test_every_file_that_the_page_and_its_modules_name_is_there(api: Api) -> None:
    named = set(re.findall(r'(?:src|href)="(/dashboard/[^"]+)"', (ASSETS / "index.html").read_text()))
    for module in ASSETS.glob("*.js"):
        named |= {f"/dashboard/{name}" for name in re.findall(r'from "\./([^"]+)"', module.read_text())}
    assert named >= {"/dashboard/app.js", "/dashboard/style.css", "/dashboard/chart.js"}
    for path in named:
        assert (await api.http.get(path)).status_code == 200, path
    assert {path.name for path in ASSETS.iterdir()} == {name.rpartition("/")[2] for name in named} - {
        "uPlot.min.css"
    } | {"index.html"}


async def test_a_file_is_sent_once_and_then_only_asked_about(api: Api) -> None:
    first = await api.http.get("/dashboard/app.js")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert first.headers["cache-control"] == "no-cache"
    again = await api.http.get("/dashboard/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await api.http.get("/dashboard/style.css", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "name", ["nothing.js", "%2e%2e%2f__init__.py", "..%2Fpackage.json", "__init__.py", "uPlot.cjs.js"]
)
async def test_nothing_but_the_assets_is_served(api: Api, name: str) -> None:
    assert_problem(await api.http.get(f"/dashboard/{name}"), 404, "route_unknown")


@pytest.fixture
def stray_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of assets in which an editor and others have left something."""
    for name in ("app.js", "app.js.orig", ".app.js.swp", "LICENSE"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.js").mkdir()
    monkeypatch.setattr(dashboard, "_assets", Assets(tmp_path.iterdir()))


@pytest.mark.usefixtures("stray_files")
async def test_a_stray_file_among_the_assets_is_served_to_nobody(api: Api) -> None:
    assert (await api.http.get("/dashboard/app.js")).status_code == 200
    for name in ("app.js.orig", ".app.js.swp", "LICENSE", "folder.js"):
        assert_problem(await api.http.get(f"/dashboard/{name}"), 404, "route_unknown")


async def test_the_documentation_has_its_styles_and_scripts_as_such(api: Api) -> None:
    page = await api.http.get("/docs")
    named = set(re.findall(r'(?:src|href)="(/docs/assets/[^"]+)"', page.text))
    assert {path.rpartition(".")[2] for path in named} == {"js", "css", "png"}
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "png": "image/png"}
    for path in named:
        response = await api.http.get(path)
        assert (response.status_code, response.headers["content-type"]) == (200, types[path.rpartition(".")[2]])
        assert "content-disposition" not in response.headers
        again = await api.http.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_page_needs_no_key_and_its_data_does(database: Database) -> None:
    async with served(database, Settings(auth="required", device_rate=0, key_rate=0)) as api:
        for path in ("/", "/dashboard/app.js", "/dashboard/style.css"):
            assert (await api.http.get(path)).status_code == 200
        for path in ("/v1/fleet", "/v1/events", "/v1/analytics/efficiency/V1"):
            assert_problem(await api.http.get(path), 401, "unauthorized")
        assert_problem(await api.http.post("/dashboard/app.js"), 401, "unauthorized")


def test_the_lock_file_pins_the_chart_library_by_its_hash_and_names_no_address() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    [(name, package)] = [item for item in packages.items() if item[0]]
    assert name == "node_modules/uplot"
    assert package["integrity"].startswith("sha512-")
    assert "resolved" not in package
    assert "://" not in LOCK.read_text()


def test_charts_that_the_set_up_cannot_install_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "npm"
    script.write_text("#!/bin/sh\necho npm error no network >&2; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(install, "_is_current", lambda folder: False)
    monkeypatch.setattr(install, "npm_of", lambda node: [str(script)])
    monkeypatch.setattr(install, "find_node", lambda: script)
    with pytest.raises(SystemExit, match="1"):
        set_up.main()
    assert capsys.readouterr().err == (
        "installing the dashboard's charts (once)\n"
        "the dashboard has tables and no charts: cannot install the dashboard's charts: npm error no network\n"
    )


def test_doctor_says_that_the_charts_are_missing_and_how_to_have_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "none")
    assert "charts" not in dict(examine(settings)[0])
    monkeypatch.setattr(install, "DASHBOARD", tmp_path)
    facts, faults = examine(settings)
    assert "`python -m service.embedded`" in dict(facts)["charts"]
    assert faults == []
