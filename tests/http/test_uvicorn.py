"""The inner members of uvicorn that the service overrides or calls: why pyproject.toml pins its minor version.

Raise the pin only after a look at what became of each of them.
"""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from service.http.connection import GuardedProtocol
from tests.support import ROOT

OVERRIDDEN: dict[type, set[str]] = {
    HttpToolsProtocol: {
        "connection_made", "connection_lost", "data_received", "on_headers_complete", "on_body", "on_message_complete",
        "on_response_complete", "shutdown", "send_400_response",
    },
    uvicorn.Server: {"startup", "shutdown", "capture_signals"},
    Multiprocess: {"keep_subprocess_alive", "init_processes"},
}  # fmt: skip
CALLED: dict[type, set[str]] = {
    HttpToolsProtocol: {"_unset_keepalive_if_required", "timeout_keep_alive_handler"},
    uvicorn.Server: {"serve"},
    Multiprocess: {"run"},
    Process: {"wait_until_ready", "pid", "exitcode"},
    FlowControl: {"resume_reading"},
}
STATE = {
    "connections", "server_state", "transport", "flow", "parser", "cycle", "url", "headers", "loop",
    "timeout_keep_alive", "timeout_keep_alive_task",
}  # fmt: skip
STATE_OF_A_CYCLE = {"scope", "transport", "response_started", "response_complete", "disconnected", "message_event"}


def test_the_minor_version_of_uvicorn_is_pinned_to_the_one_that_was_looked_at() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [pin] = [dependency for dependency in dependencies if dependency.startswith("uvicorn")]
    major, minor, *_ = map(int, version("uvicorn").split("."))
    assert pin == f"uvicorn>={major}.{minor},<{major}.{minor + 1}"


@pytest.mark.parametrize("owner", OVERRIDDEN, ids=lambda owner: owner.__name__)
def test_what_is_overridden_is_there_to_be_overridden(owner: type) -> None:
    assert {name for name in OVERRIDDEN[owner] if not callable(getattr(owner, name, None))} == set()


@pytest.mark.parametrize("owner", CALLED, ids=lambda owner: owner.__name__)
def test_what_is_called_is_there(owner: type) -> None:
    assert {name for name in CALLED[owner] if not hasattr(owner, name)} == set()


async def test_a_connection_has_the_state_that_ours_reads_and_sets() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = uvicorn.Config(app, http=GuardedProtocol, log_config=None)
    config.load()
    protocol: Any = GuardedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.on_message_begin()
    assert {name for name in STATE if not hasattr(protocol, name)} == set()
    source = inspect.getsource(RequestResponseCycle)
    assert {name for name in STATE_OF_A_CYCLE if f"self.{name} = " not in source} == set()


def test_an_answer_is_closed_and_told_complete_through_what_ours_replaces() -> None:
    """A cycle looks up its transport when it closes it, and calls `on_response_complete` of the protocol."""
    send = inspect.getsource(RequestResponseCycle.send)
    assert "self.transport.close()\n                self.on_response()" in send
    assert "on_response=self.on_response_complete" in inspect.getsource(HttpToolsProtocol.on_headers_complete)
