"""docker-compose.yml and the Dockerfile, without a Docker engine: settings, health, limits, and the proxy."""

import asyncio
import dataclasses
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.database.pool import Database
from service.http.server import DRAIN_TIMEOUT_S
from service.settings import Settings, load_settings, variable_of
from tests.support import ROOT, Api, Owner, Pair, meter_reading, served
from tests.support.processes import assert_one_plain_line, free_port, run

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FIXED = {
    "DATABASE_URL": "the database beside it",
    "HOST": "every address of the container",
    "PORT": "the port of this machine that leads to it",
    "ENERGY_AUTH": "required",
    "ENERGY_DATA_DIR": "of the embedded database",
    "ENERGY_ARCHIVE": "of the archive",
    "ENERGY_ARCHIVE_ENDPOINT": "of the archive",
}
"""Settings of the service that are not taken from `.env`, and why."""


def test_every_setting_reaches_the_service() -> None:
    names = {variable_of(field.name) for field in dataclasses.fields(Settings)} - FIXED.keys()
    environment = SERVICES["service"]["environment"]
    for name in names:
        assert re.fullmatch(rf"\$\{{{name}:-[^}}]*\}}", environment.get(name, "")), f"{name} does not reach the service"
    assert SERVICES["service"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"]
    for name in ("ENERGY_ARCHIVE", "ENERGY_ARCHIVE_ENDPOINT"):
        assert SERVICES["archive"]["environment"][name].startswith(f"${{{name}:-")


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_has_the_time_zone_and_the_log_settings(name: str) -> None:
    # the first migration makes the days, whoever runs it
    for variable in ("ENERGY_TIMEZONE", "ENERGY_LOG_LEVEL", "ENERGY_LOG_FORMAT"):
        assert SERVICES[name]["environment"][variable] == f"${{{variable}:-}}"


def test_without_an_env_file_the_containers_have_the_defaults() -> None:
    def value(text: str) -> str:
        return re.sub(r"\$\{\w+:[-?]([^}]*)\}", lambda match: match[1] if ":-" in match[0] else "x", text)

    environment = {name: value(text) for name, text in SERVICES["service"]["environment"].items()}
    settings = load_settings(environment)
    assert settings == Settings(
        database_url="postgresql://energy_app:x@db:5432/energy",
        host="0.0.0.0",  # noqa: S104
        auth="required",
        trusted_proxies=(f"{PROXY}/32",),
    )


def test_no_container_logs_or_grows_without_a_limit() -> None:
    for name, service in SERVICES.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["mem_limit"], name
    assert SERVICES["db"]["shm_size"]
    assert SERVICES["db"]["stop_grace_period"] == "2m"
    assert int(SERVICES["service"]["stop_grace_period"].removesuffix("s")) > DRAIN_TIMEOUT_S


def test_the_containers_of_ours_are_not_root_and_nothing_but_migrations_is_superuser() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "--gid 10001" in DOCKERFILE
    assert "--uid 10001" in DOCKERFILE
    for name in OURS:
        assert "user" not in SERVICES[name], name
        superuser = "postgres:" in SERVICES[name]["environment"]["DATABASE_URL"].partition("//")[2]
        assert superuser == (SERVICES[name]["command"][0] == "migrate" if "command" in SERVICES[name] else False), name
    # volumes take over the owner of the folder that they are mounted on
    [made] = re.findall(r"install -d -o 10001 -g 10001 (\S+)", DOCKERFILE)
    assert f"archive:{made}" in SERVICES["archive"]["volumes"]


def test_the_archive_waits_for_a_login_that_is_not_made_without_a_password() -> None:
    assert SERVICES["archive"]["depends_on"].keys() == {"archive-login"}
    command = SERVICES["archive-login"]["command"]
    assert f"//{command[-1]}:" in SERVICES["archive"]["environment"]["DATABASE_URL"]
    refused = run(*command, DATABASE_URL="postgresql://postgres@127.0.0.1:1/energy", ENERGY_ARCHIVE_PASSWORD="")
    assert_one_plain_line(refused, "ENERGY_ARCHIVE_PASSWORD")


HEALTH: list[str] = json.loads(re.findall(r"^ *CMD (\[\"bash\".+\])$", DOCKERFILE, re.MULTILINE)[0])


async def health(port: int) -> int:
    """The exit status of the container's health check on this port."""
    process = await asyncio.create_subprocess_exec(
        *(word.replace("read -r -t 2", "read -r -t 0.5") for word in HEALTH),
        env={"PATH": os.environ["PATH"], "PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(10):
        return await process.wait()


async def test_the_containers_health_is_that_of_the_process_on_the_port_in_use(api: Api) -> None:
    assert await health(api.http.base_url.port) == 0
    assert await health(free_port()) != 0
    assert SERVICES["service"].get("healthcheck") is None
    assert "${PORT:-3000}" in HEALTH[2]
    assert "PORT" not in SERVICES["service"]["environment"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b""], ids=["503", "silence"])
async def test_another_answer_or_none_is_unhealthy(answer: bytes) -> None:
    assert "read -r -t 2" in HEALTH[2]  # shorter than Docker's own time-out; here a wait is shorter still

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()) == b"GET /health/live HTTP/1.1\r\n"
        if answer:
            writer.write(answer)
            await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        assert await health(server.sockets[0].getsockname()[1]) != 0


PROXY = SERVICES["tls"]["networks"]["edge"]["ipv4_address"]
CADDYFILE = ROOT / "deploy/caddy/Caddyfile"


def test_the_service_trusts_the_proxys_own_address_and_no_other() -> None:
    assert SERVICES["service"]["environment"]["ENERGY_TRUSTED_PROXIES"] == f"${{ENERGY_TRUSTED_PROXIES:-{PROXY}}}"
    [pool] = COMPOSE["networks"]["edge"]["ipam"]["config"]
    network, dynamic = (re.match(r"([\d.]+)\.(\d+)/(\d+)$", pool[key]) for key in ("subnet", "ip_range"))
    assert network
    assert dynamic
    # other containers get their addresses from the upper half
    assert PROXY.startswith(f"{network[1]}.")
    assert int(PROXY.rpartition(".")[2]) < int(dynamic[2]) == 128
    assert "edge" in SERVICES["service"]["networks"]
    assert SERVICES["tls"]["profiles"] == ["tls"]
    assert SERVICES["tls"]["networks"].keys() == {"edge"}
    assert ["edge" in str(SERVICES[name].get("networks")) for name in ("db", "grafana", "prometheus")] == [False] * 3


def test_the_proxy_does_not_start_without_a_name() -> None:
    script = SERVICES["tls"]["entrypoint"][2].replace("$$", "$").replace("exec caddy", "true")
    for domain, status in (("", 1), ("energy.example.org", 0)):
        environment = {"PATH": os.environ["PATH"], "ENERGY_DOMAIN": domain}
        ended = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == status
        assert ("ENERGY_DOMAIN" in ended.stderr) == bool(status)


def test_the_proxy_gives_up_idle_connections_before_the_service_does() -> None:
    [seconds] = re.findall(r"^\s*keepalive (\d+)s$", CADDYFILE.read_text(), re.MULTILINE)
    assert int(seconds) < Settings().keep_alive_s


def start_caddy(environment: dict[str, str], config: Path) -> subprocess.Popen[bytes]:
    """Run the Caddyfile, without the administration, whose address is a fixed one."""
    command = ["caddy", "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile", "--validate"]
    adapted = subprocess.run(command, env=environment, capture_output=True, check=True)
    config.write_text(json.dumps({**json.loads(adapted.stdout), "admin": {"disabled": True}}))
    return subprocess.Popen(["caddy", "run", "--config", str(config)], env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not shutil.which("caddy"), reason="Caddy is not installed")
async def test_behind_caddy_a_rejected_reading_has_the_clients_address(
    database: Database, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    port = free_port()
    async with served(database, Settings(trusted_proxies=("127.0.0.1/32",))) as api:
        names = {"ENERGY_DOMAIN": f"http://127.0.0.1:{port}", "ENERGY_UPSTREAM": f"127.0.0.1:{api.http.base_url.port}"}
        process = start_caddy({"PATH": os.environ["PATH"], "HOME": str(tmp_path), **names}, tmp_path / "caddy.json")
        try:
            before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
            body, forged = meter_reading(pair.meter, kwhConsumedAc=-1), {"X-Forwarded-For": "1.1.1.1"}
            transport = httpx.AsyncHTTPTransport(local_address="127.0.0.9", retries=5)
            async with httpx.AsyncClient(transport=transport) as client:
                answer = await client.post(f"http://127.0.0.1:{port}/v1/ingest/meter", json=body, headers=forged)
            assert answer.status_code == 422
            [row] = await owner.fetch("SELECT source FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
            assert row["source"] == "127.0.0.9"
        finally:
            process.kill()
            process.wait()
