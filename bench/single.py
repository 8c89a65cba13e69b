"""Benchmark of single readings at full speed: the service beside servers without framework or group commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from bench.report import Figure, Row
from bench.stage import SERVICE, Stage, cpu_seconds, rest_jobs

CONNECTIONS = 64
ROUNDS = 3
SECONDS = 8
KEYS = {"ENERGY_AUTH": "required", "ENERGY_KEY_RATE": "1000000"}
SERVERS: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {  # modules and settings
    "service": (SERVICE, {}),
    "service with keys": (SERVICE, KEYS),
    "bare": (("bench.servers", "bare"), {}),
    "ungrouped": (("bench.servers", "ungrouped"), {}),
}
CREATE_KEY = "SELECT token FROM ops.create_api_key('gateway', p_id_prefix => '')"


def measure(stage: Stage) -> list[Row]:
    """Measure in turns, so that noise of the machine affects all alike."""
    with stage.connection() as connection:
        rest_jobs(connection)
        [token] = connection.execute(CREATE_KEY).fetchone() or [""]
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, (command, settings) in SERVERS.items():
            found[name].append(post_readings(stage, command, settings, token=token if settings is KEYS else ""))
    rates = {name: [figures["requests/s"] for figures in rounds] for name, rounds in found.items()}
    return [
        *(Row(f"single POST, {name}", by_figure(rounds)) for name, rounds in found.items()),
        Row.ratio("service / bare", rates["service"], rates["bare"], at_least=0.8),
        Row.ratio("service with keys / bare", rates["service with keys"], rates["bare"], at_least=0.7),
        Row.ratio("service / ungrouped", rates["service"], rates["ungrouped"], at_least=2.5),
    ]


def post_readings(
    stage: Stage,
    command: tuple[str, ...],
    settings: Mapping[str, str],
    *,
    token: str = "",
    connections: int = CONNECTIONS,
) -> dict[str, float]:
    """Serve, and post readings at full speed; return figures, among them the processor time of each request."""
    with stage.serving(*command, **settings) as server:
        stage.wrk("/v1/ingest/meter", seconds=1, connections=connections, token=token)
        processes = {"service": stage.service_processes(server), "database": stage.database_processes(server)}
        used = {name: cpu_seconds(found) for name, found in processes.items()}
        load = stage.wrk("/v1/ingest/meter", seconds=SECONDS, connections=connections, token=token)
        processes["database"] = stage.database_processes(server)  # some of its backends are new
        spent = {name: (cpu_seconds(found) - used[name]) / load.requests for name, found in processes.items()}
    return {
        "requests/s": load.rate,
        "p50 ms": load.p50 / 1e3,
        "p99 ms": load.p99 / 1e3,
        "errors": load.errors,
        **{f"us of the {name} a request": seconds * 1e6 for name, seconds in spent.items()},
    }


def by_figure(rounds: list[dict[str, float]]) -> dict[str, Figure]:
    """Return the rounds of each figure."""
    return {name: [figures[name] for figures in rounds] for name in rounds[0]}
