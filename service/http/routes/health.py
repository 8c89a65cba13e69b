"""GET /health/...: liveness and readiness probes."""

from __future__ import annotations

import asyncpg
from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from service.database.migrations import NEWEST_MIGRATION
from service.database.pool import Database
from service.errors import Problem
from service.http.openapi import problems


class Liveness(Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(Struct, rename="camel", frozen=True):
    """The primary accepts writes, and has the schema of this service."""

    status: str
    schema_version: str


@get("/health/live", security=[{}], responses=problems(public=True), tags=["health"], summary="Liveness")
async def get_liveness() -> Liveness:
    """Liveness: the process answers. The database is not asked."""
    return Liveness("alive")


@get(
    "/health/ready",
    security=[{}],
    responses=problems(503, public=True),
    tags=["health"],
    summary="Readiness",
)
async def get_readiness(database: NamedDependency[Database]) -> Readiness:
    """Readiness: the primary accepts writes, and has this service's schema or a newer one.

    A replica has no part in it: while it is away, the primary answers its reads.
    """
    try:
        version = await database.check_writable()
    except asyncpg.ReadOnlySQLTransactionError:
        raise Problem("database_unavailable", "the database is read-only, as a standby is") from None
    if version is None or version < NEWEST_MIGRATION:
        raise Problem("schema_behind", f"the schema is at {version}, this service needs {NEWEST_MIGRATION}: migrate")
    return Readiness("ready", version)
