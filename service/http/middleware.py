"""Middleware of every request: request id, rate limit, API key, and the key's scope."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.utils import normalize_path

from service.errors import Problem
from service.http.authentication import Key, Keys, unauthorized
from service.http.problem_details import from_exception, to_response
from service.http.rate_limit import Addresses, too_many
from service.observability.metrics import count_request
from service.observability.request_id import REQUEST_ID, request_id

if TYPE_CHECKING:
    from litestar.types import Method, Scope

    from service.settings import Settings

_PUBLIC = ("/health/", "/docs/", "/dashboard/")


def is_public(method: str, path: str) -> bool:
    """Return true for routes that need no key: probes, documentation, and the dashboard without its data."""
    return method in {"GET", "HEAD"} and (path in {"/", "/docs"} or path.startswith(_PUBLIC))


def may(scope: str, method: str, path: str) -> bool:
    """Return true if a key of this scope may use this route. Routes without a rule are for admin keys."""
    if scope == "admin":
        return True
    if scope == "read":
        return method in {"GET", "HEAD"}
    return method == "POST" and (path == "/v1/ingest" or path.startswith("/v1/ingest/"))


def key_of(scope: Scope) -> Key | None:
    """Return the key of a request; None where keys are not required."""
    return cast("Key | None", scope.get("auth"))


class GuardedLitestar(Litestar):
    """The application behind its middleware, which unknown routes pass, too."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._keys = Keys(lambda: self.state.database, settings) if settings.auth == "required" else None
        self._addresses = Addresses(settings.address_rate) if settings.address_rate else None
        self._guarded = bool(self._keys or self._addresses)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Admit the request, or answer it here."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        given, authorization = b"", b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"x-request-id":
                given = value
        this = request_id(given)
        REQUEST_ID.set(this.decode())
        stamp = (b"x-request-id", this)

        began = time.perf_counter()
        status = 500  # uvicorn's answer if the application gives none

        def stamped(message: Any) -> Any:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], stamp]}
            return send(message)

        method, path = scope["method"], scope["path"]
        try:
            if self._guarded:
                try:
                    await self._admit(scope, authorization)
                except Exception as error:
                    problem = error if isinstance(error, Problem) else from_exception(error)
                    await to_response(problem).to_asgi_response(None, request=None)(scope, receive, stamped)  # type: ignore[arg-type]
                    return
            await super().__call__(scope, receive, stamped)
        finally:
            route = scope.get("path_template") or self._route(method, path)
            count_request(method, route, status, time.perf_counter() - began)

    def _route(self, method: str, path: str) -> str:
        """Return the route template of a request that was not routed."""
        try:
            return self.asgi_router.handle_routing(path=normalize_path(path), method=cast("Method", method))[4]
        except HTTPException:
            return "unknown"

    async def _admit(self, scope: Any, authorization: bytes) -> None:
        """Authenticate the request, and put its key into `scope["auth"]`.

        Raises:
            Problem: it is not admitted; the detail says why.
        """
        method, path = scope["method"], scope["path"]
        if is_public(method, path):
            return
        if self._addresses and (client := scope["client"]):
            wait = self._addresses.take(client[0], time.monotonic())
            if wait:
                raise too_many("address", self._addresses.rate, "ENERGY_ADDRESS_RATE", wait)
        if self._keys is None:
            return
        if not authorization:
            raise unauthorized()
        key = await self._keys.authenticate(authorization)
        if key.bucket and (wait := key.bucket.take(time.monotonic())):
            variable = "ENERGY_DEVICE_RATE" if key.scope == "device" else "ENERGY_KEY_RATE"
            raise too_many("key", key.bucket.rate, variable, wait)
        if not may(key.scope, method, path):
            raise Problem("forbidden", f"a key of scope {key.scope} may not {method} here")
        scope["auth"] = key
