"""GET /metrics: Prometheus metrics of this process (or of all workers) and of the database.

The database is asked once a scrape, not once a worker, and not again within `KEEP_S`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request, Response, get
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service import __version__
from service.database.calls import GET_DATABASE_METRICS
from service.database.failures import is_retryable
from service.database.single_flight import SingleFlight
from service.observability.metrics import REGISTRY

if TYPE_CHECKING:
    from service.database.pool import Database

KEEP_S = 10.0
SAMPLE_S = 1.0
"""Interval at which each of several workers records its queue and connections, for any worker that is scraped."""

DATABASE_METRICS = {
    "energy_aggregate_lag_seconds": "Time since the last complete refresh, while an aggregate is stale; else 0.",
    "energy_aggregate_lag_limit_seconds": "Beyond this lag, two runs of the refresh have not mended what is stale.",
    "energy_job_healthy": "1 where a job works; 0 where it fails, does not run, or is paused.",
    "energy_job_failures_total": "Runs of a job that failed.",
    "energy_job_last_success_timestamp_seconds": "When a job last succeeded, Unix time.",
    "energy_policy_faults": "Settings in ops.policy that would lose data or work against each other.",
    "energy_devices": "Devices in use that report, and those that are silent.",
    "energy_alerts_open": "Open alerts of devices, by kind of rule and severity.",
    "energy_webhook_messages": "Messages to webhooks: pending, and given up in the last 30 days.",
    "energy_webhook_oldest_pending_seconds": "Age of the oldest message to a webhook that waits; 0 for none.",
    "energy_alertmanager_behind_seconds": "Time since an Alertmanager last accepted all alerts.",
    "energy_storage_bytes": "What chunks take, with their indexes, in the columnstore (compressed) and before it.",
    "energy_chunks": "Chunks of a table or aggregate.",
    "energy_synchronous_standbys_required": "1 where commits wait for a synchronous standby; else 0.",
    "energy_standbys": "Standbys of the primary, by whether commits wait for them; absent if it may not be seen.",
    "energy_standby_lag_bytes": "Write-ahead log of the primary that a standby has not flushed.",
}


class DatabaseMetrics:
    """Cached metrics of the database."""

    def __init__(self) -> None:
        self._families: list[Metric] = []
        self._until = 0.0
        self._asking = SingleFlight[list[Metric]]()

    async def read(self, database: Database) -> list[Metric]:
        """Return the metric families; only those of what is up for an absent database.

        Concurrent callers share one query. Whether primary and replica are up is asked each time.
        """
        return await self._asking.run(lambda: self._ask(database))

    async def _ask(self, database: Database) -> list[Metric]:
        up = GaugeMetricFamily("energy_database_up", "Whether the primary answers in time and accepts writes.")
        replica = await _ask_replica(database)
        try:
            await database.check_writable()
            if time.monotonic() >= self._until:
                self._families = list(_families(await database.probe_primary(GET_DATABASE_METRICS)))
                self._until = time.monotonic() + KEEP_S
        except Exception as error:
            if not is_retryable(error):
                raise
            up.add_metric([], 0)
            return [up, *replica]
        up.add_metric([], 1)
        return [up, *replica, *self._families]


async def _ask_replica(database: Database) -> list[Metric]:
    """Return the metrics of the replica; none where there is none."""
    if database.replica is None:
        return []
    state = await database.read_replica_state()
    up = GaugeMetricFamily("energy_replica_up", "Whether the replica answers in time; else the primary does.")
    lag = GaugeMetricFamily(
        "energy_replica_lag_seconds", "Age of the newest change that the replica shows, while it lacks any; else 0."
    )
    up.add_metric([], int(state is not None and database.replica.fault is None))
    if state is not None and state.lag_s is not None:
        lag.add_metric([], state.lag_s)
    return [up, lag]


def _families(rows: Iterable[Any]) -> Iterator[Metric]:
    """Group rows into metric families; the rows of a metric are adjacent."""
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, labels_json, value in rows:
        labels: dict[str, str] = msgspec.json.decode(labels_json)
        family = families.get(name)
        if family is None:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = families[name] = kind(name, DATABASE_METRICS[name], labels=sorted(labels))
        family.add_metric([labels[label] for label in sorted(labels)], value)
    yield from families.values()


class _Given(Collector):
    """A collector of prebuilt families."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _render(accept: str, families: list[Metric]) -> tuple[bytes, str]:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(cast("Collector", REGISTRY))
    build = GaugeMetricFamily("energy_build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    registry.register(_Given([build, *families]))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


@get("/metrics", include_in_schema=False)
async def get_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """All metrics, in Prometheus' text format or OpenMetrics."""
    state = request.app.state
    database: Database = state.database
    database.note_load()
    families = await state.database_metrics.read(database)
    body, content_type = await asyncio.to_thread(_render, request.headers.get("accept", ""), families)
    return Response(body, headers={"content-type": content_type})


async def note_load_again_and_again(database: Database) -> None:
    """Record this worker's load every `SAMPLE_S`, as the scraped worker cannot look into the others."""
    while True:
        database.note_load()
        await asyncio.sleep(SAMPLE_S)
