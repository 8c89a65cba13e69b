"""Benchmark of workers: single readings with one process and with two, in turns, over few and over many connections.

Two workers on two cores share them with the database and the load, and can at best lose nothing. From `CORES` on, the
load has a core to itself. On any machine the processor time of a request tells the rest: two workers that spend as much
on each request as one does serve twice as many, once each has a core.

Each worker commits what waits in its own queue. Over few connections two workers store groups half as large, and each
call costs the same whatever its size. Over many the groups are large enough.
"""

from __future__ import annotations

import os
from collections import defaultdict

from bench.report import Row, values
from bench.single import ROUNDS, by_figure, post_readings
from bench.stage import SERVICE, Stage, rest_jobs

CONNECTIONS = {"few": 64, "many": 256}
CORES = 4
"""One for the load, one for the database, two for the workers."""


def measure(stage: Stage) -> list[Row]:
    """Measure in turns. The embedded database has one connection, and allows one worker."""
    if stage.url is None:
        return []
    if (os.cpu_count() or 1) >= CORES:
        stage.load_cores = frozenset({0})
    with stage.connection() as connection:
        rest_jobs(connection)
    rounds: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, connections in CONNECTIONS.items():
            for count in (1, 2):
                settings = {"ENERGY_WORKERS": str(count)}
                rounds[name, count].append(post_readings(stage, SERVICE, settings, connections=connections))
    return [row for name in CONNECTIONS for row in _compare(stage, name, rounds[name, 1], rounds[name, 2])]


def _compare(stage: Stage, name: str, first: list[dict[str, float]], second: list[dict[str, float]]) -> list[Row]:
    one, two = by_figure(first), by_figure(second)
    rate, cost = "requests/s", "us of the service a request"
    connections = f"{CONNECTIONS[name]} connections"
    return [
        Row(f"single POST, 1 worker, {connections}", one),
        Row(f"single POST, 2 workers, {connections}", two),
        Row.ratio(
            f"2 workers / 1, {connections}",
            values(two[rate]),
            values(one[rate]),
            at_least=1.7 if stage.load_cores else 1,
        ),
        Row.ratio(
            f"the same with a core each, by processor time, {connections}",
            [2 * us for us in values(one[cost])],
            values(two[cost]),
            at_least=1.7,
        ),
    ]
