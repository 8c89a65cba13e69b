"""Prometheus metrics of the service.

Labels have few values, none of them chosen by clients. Children of a metric are looked up once and kept: counting a
request or a grouped call costs a few microseconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from service.observability.logs import REPEATED

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
"""Metrics of this process. With several workers, `prometheus_client` keeps the values in files that each worker can add
up."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_READINGS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

HTTP_REQUESTS = Counter(
    "energy_http_requests",
    "Requests answered, including refused ones. Route is a template, or unknown.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_DURATION = Histogram(
    "energy_http_request_duration_seconds",
    "Time from the headers of a request to the end of its answer.",
    ["method", "route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
READINGS = Counter(
    "energy_readings",
    "Readings by outcome: stored, duplicate, conflict, or the reason of a rejection. Kind may be unknown.",
    ["kind", "outcome"],
    registry=REGISTRY,
)
IGNORED = Counter(
    "energy_measures_ignored",
    "Measures outside their range, without which a reading was stored.",
    ["kind", "field"],
    registry=REGISTRY,
)
CALL_READINGS = Histogram(
    "energy_ingest_call_readings",
    "Readings stored in one call and one commit.",
    ["kind"],
    buckets=_READINGS,
    registry=REGISTRY,
)
CALL_DURATION = Histogram(
    "energy_ingest_call_duration_seconds",
    "Time of a committed ingest call, with its commit.",
    ["kind"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
OVERLOADS = Counter(
    "energy_overloads",
    "Requests refused because too many readings waited, or waited for too long.",
    ["kind"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "energy_alert_deliveries",
    "Attempts to deliver alerts, by way (alertmanager, webhook) and result (ok, failed).",
    ["way", "result"],
    registry=REGISTRY,
)
# gauges of several processes are summed, for the live ones
QUEUE = Gauge(
    "energy_ingest_queue_readings",
    "Readings that wait for the database or are being stored.",
    ["kind"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
QUEUE_LIMIT = Gauge(
    "energy_ingest_queue_limit_readings",
    "Readings of a kind that may wait; beyond, requests are refused.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
POOL = Gauge(
    "energy_database_pool_connections",
    "Connections to the database. Pool write also reads where there is no replica.",
    ["pool", "state"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
POOL_LIMIT = Gauge(
    "energy_database_pool_limit_connections",
    "Most connections that a pool may open.",
    ["pool"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)

_log = logging.getLogger(__name__)
_TAKEN = frozenset({"stored", "duplicate"})
_REFUSED = {401: logging.INFO, 403: logging.INFO, 429: logging.INFO, 503: logging.WARNING}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_requests: dict[tuple[str, str, int], Callable[[], None]] = {}
_durations: dict[tuple[str, str], Callable[[float], None]] = {}
_readings: dict[tuple[str, str], Callable[[float], None]] = {}


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request; log it, too, if it was refused."""
    if (level := _REFUSED.get(status)) is not None:
        REPEATED.log(_log, level, "requests refused", route=route, status=str(status))
    try:
        _requests[method, route, status]()
        _durations[method, route](seconds)
    except KeyError:
        _requests[method, route, status] = HTTP_REQUESTS.labels(_method(method), route, status).inc
        _durations[method, route] = HTTP_DURATION.labels(_method(method), route).observe
        _requests[method, route, status]()
        _durations[method, route](seconds)


def count_readings(kind: str, outcome: str, number: int = 1) -> None:
    """Count readings by outcome; log them, too, if they were rejected."""
    if outcome not in _TAKEN:
        REPEATED.log(_log, logging.INFO, "readings rejected", number, kind=kind, outcome=outcome)
    try:
        _readings[kind, outcome](number)
    except KeyError:
        _readings[kind, outcome] = READINGS.labels(kind, outcome).inc
        _readings[kind, outcome](number)


def count_ignored(kind: str, field: str) -> None:
    """Count an ignored measure of a stored reading; log it, too."""
    REPEATED.log(_log, logging.INFO, "measures ignored", kind=kind, field=field)
    IGNORED.labels(kind, field).inc()


def _method(method: str) -> str:
    return method if method in _METHODS else "other"
