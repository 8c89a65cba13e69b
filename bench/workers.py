"""Benchmark of workers: single readings with one process and with two, in turns.

Two workers on two cores share them with the database and the load, and can at best lose nothing. From `CORES` on, the
load has a core to itself. On any machine the processor time of a request tells the rest: two workers that spend as much
on each request as one does serve twice as many, once each has a core.
"""

from __future__ import annotations

import os
from collections import defaultdict

from bench.report import Row, values
from bench.single import ROUNDS, by_figure, post_readings
from bench.stage import SERVICE, Stage

CORES = 4
"""One for the load, one for the database, two for the workers."""


def measure(stage: Stage) -> list[Row]:
    """Measure in turns. The embedded database has one connection, and allows one worker."""
    if stage.url is None:
        return []
    has_cores = (os.cpu_count() or 1) >= CORES
    if has_cores:
        stage.load_cores = frozenset({0})
    rounds: dict[int, list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for count in (1, 2):
            rounds[count].append(post_readings(stage, SERVICE, {"ENERGY_WORKERS": str(count)}))
    one, two = by_figure(rounds[1]), by_figure(rounds[2])
    rate, cost = "requests/s", "us of the service a request"
    return [
        Row("single POST, 1 worker", one),
        Row("single POST, 2 workers", two),
        Row.ratio("2 workers / 1", values(two[rate]), values(one[rate]), at_least=1.7 if has_cores else 1),
        Row.ratio(
            "2 workers / 1, by the service's processor time",
            [2 * us for us in values(one[cost])],
            values(two[cost]),
            at_least=1.7,
        ),
    ]
