"""deploy/patroni: valid for Patroni and haproxy, and of one mind with each other."""

import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

FOLDER = ROOT / "deploy/patroni"
TEXT = (FOLDER / "patroni.yml").read_text()
PATRONI: dict[str, Any] = yaml.safe_load(TEXT)
HAPROXY = (FOLDER / "haproxy.cfg").read_text()
PROGRAMS = ("pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind")


def test_no_acknowledged_reading_is_on_one_machine_only_and_an_outage_of_etcd_stops_nothing() -> None:
    cluster = PATRONI["bootstrap"]["dcs"]
    assert cluster["synchronous_mode"] is True
    assert cluster["synchronous_mode_strict"] is True
    assert cluster["failsafe_mode"] is True
    # else a primary gives up before it has tried again
    assert cluster["loop_wait"] + 2 * cluster["retry_timeout"] <= cluster["ttl"]
    parameters = cluster["postgresql"]["parameters"]
    assert parameters["shared_preload_libraries"] == "timescaledb"
    assert parameters["timescaledb.license"] == "timescale"
    assert "host all energy_owner all reject" in PATRONI["postgresql"]["pg_hba"]
    assert not re.search(r"password:", TEXT), "a secret is written down"


def test_haproxy_asks_patroni_and_ends_the_sessions_of_a_demoted_primary() -> None:
    sections = dict(re.findall(r"^listen (\w+)\n(.*?)(?=^\S|\Z)", HAPROXY, re.MULTILINE | re.DOTALL))
    assert sections.keys() == {"primary", "standbys"}
    rest_port = PATRONI["restapi"]["connect_address"].rpartition(":")[2]
    for path, section in (("/primary", sections["primary"]), (r"/replica?lag=16MB", sections["standbys"])):
        assert f"http-check send meth OPTIONS uri {path}\n" in section
        assert f"check port {rest_port} " in section
        assert "on-marked-down shutdown-sessions" in section
        servers = dict(re.findall(r"server (\S+) (\S+)$", section, re.MULTILINE))
        assert servers[PATRONI["name"]] == PATRONI["postgresql"]["connect_address"]
        assert len(servers) == 3
        assert {address.partition(":")[0] for address in servers.values()} == {
            address.partition(":")[0] for address in PATRONI["etcd3"]["hosts"]
        }


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
def test_haproxy_takes_its_file() -> None:
    checked = subprocess.run(
        ["haproxy", "-c", "-f", str(FOLDER / "haproxy.cfg")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


@pytest.mark.skipif(not shutil.which("patroni"), reason="Patroni is not installed")
def test_patroni_takes_its_file(tmp_path: Path) -> None:
    # Patroni looks for the programs, and connects to etcd: both are made up, on loopback
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.0'\n")
        (programs / name).chmod(stat.S_IRWXU)
    with socket.create_server(("127.0.0.1", 0)) as etcd:
        text = re.sub(r"10\.0\.0\.\d+:2379", f"127.0.0.1:{etcd.getsockname()[1]}", TEXT)
        text = re.sub(r"10\.0\.0\.11:\d+", "127.0.0.11:0", text)
        assert "10.0.0.1" not in text.partition("pg_hba")[0].partition("scope:")[2]
        text = text.replace(PATRONI["postgresql"]["bin_dir"], str(programs))
        text = text.replace(PATRONI["postgresql"]["data_dir"], str(tmp_path / "data"))
        text = text.replace("mode: automatic", "mode: 'off'")
        (tmp_path / "patroni.yml").write_text(text)
        checked = subprocess.run(
            ["patroni", "--validate-config", str(tmp_path / "patroni.yml")],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr
