"""The application: every route and plugin in one list."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from service.database.pool import Database
from service.database.single_flight import FreshFlight
from service.http.middleware import GuardedLitestar
from service.http.openapi import get_docs_asset, openapi_config
from service.http.problem_details import exception_handlers
from service.http.routes.alerts import get_alert, list_alerts, post_acknowledgement
from service.http.routes.analytics import get_vehicle_performance, list_efficiency_buckets, list_vehicle_efficiency
from service.http.routes.costs import list_fleet_costs, list_vehicle_costs
from service.http.routes.dashboard import get_dashboard, get_dashboard_asset
from service.http.routes.devices import (
    get_meter_profile,
    get_vehicle_profile,
    list_devices,
    put_meter_profile,
    put_vehicle_profile,
)
from service.http.routes.events import Pulses, get_events
from service.http.routes.exchanges import (
    get_meter_exchanges,
    get_vehicle_exchanges,
    post_meter_exchange,
    post_vehicle_exchange,
)
from service.http.routes.fleet import get_fleet_overview, get_fleet_summary
from service.http.routes.health import get_liveness, get_readiness
from service.http.routes.history import get_meter_history, get_vehicle_history
from service.http.routes.ingest import (
    Decoding,
    ingest_either,
    ingest_either_batch,
    ingest_meter,
    ingest_meter_batch,
    ingest_vehicle,
    ingest_vehicle_batch,
)
from service.http.routes.links import delete_link, get_links, get_meter_vehicles, put_link
from service.http.routes.metrics import DatabaseMetrics, get_metrics
from service.http.routes.sessions import list_sessions, list_vehicle_sessions
from service.http.routes.status import get_meter_status, get_vehicle_status
from service.settings import Settings

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(database: Database | None, settings: Settings, *, lifespan: Lifespan | None = None) -> Litestar:
    """Build the ASGI application over an open database.

    With `lifespan`, that puts the database into `state.database`.
    """
    return GuardedLitestar(
        settings,
        route_handlers=[
            ingest_either,
            ingest_meter,
            ingest_vehicle,
            ingest_either_batch,
            ingest_meter_batch,
            ingest_vehicle_batch,
            get_vehicle_performance,
            list_vehicle_efficiency,
            list_efficiency_buckets,
            list_fleet_costs,
            list_vehicle_costs,
            get_fleet_summary,
            get_fleet_overview,
            get_events,
            get_meter_status,
            get_vehicle_status,
            get_meter_history,
            get_vehicle_history,
            list_sessions,
            list_vehicle_sessions,
            get_links,
            put_link,
            delete_link,
            get_meter_vehicles,
            list_devices,
            get_meter_profile,
            put_meter_profile,
            get_vehicle_profile,
            put_vehicle_profile,
            get_meter_exchanges,
            post_meter_exchange,
            get_vehicle_exchanges,
            post_vehicle_exchange,
            list_alerts,
            get_alert,
            post_acknowledgement,
            get_liveness,
            get_readiness,
            get_metrics,
            get_dashboard,
            get_dashboard_asset,
            get_docs_asset,
        ],
        dependencies={"database": Provide(_database, sync_to_thread=False)},
        state=State(
            {
                "database": database,
                "settings": settings,
                "pulses": Pulses(),
                "overviews": FreshFlight(),
                "database_metrics": DatabaseMetrics(),
                "decoding": Decoding(),
            }
        ),
        lifespan=[lifespan] if lifespan else [],
        exception_handlers=exception_handlers(settings.max_body_bytes),
        request_max_body_size=settings.max_body_bytes,
        openapi_config=openapi_config(),
        logging_config=None,
    )


def spare_the_collector() -> None:
    """Exempt the objects made at start from garbage collection. Call it once all of them exist.

    They stay for the life of the process, and a pass over them stops every request for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()


def _database(state: State) -> Database:
    """Provide the database to handlers, as a dependency."""
    return cast("Database", state.database)
