"""The application: every route and plugin in one list."""

from __future__ import annotations

from litestar import Litestar
from litestar.di import Provide

from service.analytics import get_vehicle_performance
from service.db import Database
from service.errors import exception_handlers
from service.health import get_liveness, get_readiness
from service.ingest import ingest, ingest_meter, ingest_vehicle
from service.openapi import get_docs_asset, get_root, openapi_config
from service.settings import Settings
from service.status import get_meter_status, get_vehicle_status


def create_app(database: Database, settings: Settings) -> Litestar:
    """The ASGI application over an open database."""
    return Litestar(
        route_handlers=[
            ingest,
            ingest_meter,
            ingest_vehicle,
            get_vehicle_performance,
            get_meter_status,
            get_vehicle_status,
            get_liveness,
            get_readiness,
            get_root,
            get_docs_asset,
        ],
        dependencies={"database": Provide(lambda: database, sync_to_thread=False)},
        exception_handlers=exception_handlers(settings.max_body_bytes),
        request_max_body_size=settings.max_body_bytes,
        openapi_config=openapi_config(),
        logging_config=None,
    )
