"""Middleware of every request: client's address, request id, CORS, HEAD, rate limit, API key, query parameters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar, Request
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute
from litestar.utils import normalize_path

from service.database.pool import READER
from service.errors import Problem
from service.http.authentication import Key, Keys, unauthorized
from service.http.client_address import TrustedProxies
from service.http.connection_limit import AddressConnections
from service.http.cross_origin import CrossOrigin, complete_methods
from service.http.problem_details import from_exception, to_response
from service.http.rate_limit import Addresses, too_many
from service.observability.metrics import count_request
from service.observability.request_id import REQUEST_ID, request_id

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import ASGIApp, Method, Scope

    from service.settings import Settings

DIRECT = "direct"
"""Option of a handler: an async function of scope, receive and state to the response, which stands for the handler.

A request for the exact path of such a handler skips Litestar's routing and its objects.
"""

_PUBLIC = ("/health/", "/docs/", "/dashboard/")


def is_public(method: str, path: str) -> bool:
    """Return true for routes that need no key: probes, documentation, and the dashboard without its data."""
    return method == "GET" and (path in {"/", "/docs"} or path.startswith(_PUBLIC))


def may(scope: str, method: str, path: str) -> bool:
    """Return true if a key of this scope may use this route. Routes without a rule are for admin keys."""
    if scope == "admin":
        return True
    if scope == "read":
        return method == "GET"
    return method == "POST" and (path == "/v1/ingest" or path.startswith("/v1/ingest/"))


def key_of(scope: Scope) -> Key | None:
    """Return the key of a request; None where keys are not required."""
    return cast("Key | None", scope.get("auth"))


def _without_body(send: Any) -> Any:
    """Return a `send` that ends the answer without its body."""
    ended = False

    async def send_head(message: Any) -> None:
        nonlocal ended
        if message["type"] != "http.response.start":
            if ended:
                return
            ended = True  # also of an endless answer: the application is told that the client is gone
            message = {"type": "http.response.body"}
        await send(message)

    return send_head


class GuardedLitestar(Litestar):
    """The application behind its middleware, which unknown routes pass, too."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._keys = Keys(lambda: self.state.database, settings) if settings.auth == "required" else None
        self._addresses = Addresses(settings.address_rate) if settings.address_rate else None
        self._guarded = bool(self._keys or self._addresses)
        self._proxies = TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None
        self.address_connections = (
            AddressConnections(settings.address_connections, self._proxies) if settings.address_connections else None
        )
        self._cross_origin = CrossOrigin(settings.cors_origins)
        self._parameters = {
            handler: sorted(parameter.field_alias for parameter in model.expected_query_params)
            for route in self.routes
            if isinstance(route, HTTPRoute)
            for handler, model in route.route_handler_map.values()
        }
        self._direct = {
            (method, route.path): handler.opt[DIRECT]
            for route in self.routes
            if isinstance(route, HTTPRoute)
            for method, (handler, _) in route.route_handler_map.items()
            if DIRECT in handler.opt
        }
        # Litestar's own answer to OPTIONS names the methods of the first handler of a path only
        self._methods = {
            route.path_format: ", ".join(sorted(route.methods)).encode()
            for route in self.routes
            if isinstance(route, HTTPRoute)
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Admit the request, or answer it here. HEAD is answered as GET, without the body."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if self._proxies:
            self._proxies.correct(scope)
        given, authorization, origin = b"", b"", b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"x-request-id":
                given = value
            elif name == b"origin":
                origin = value
        this = request_id(given)
        REQUEST_ID.set(this.decode())
        method, path = scope["method"], scope["path"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}
            send = _without_body(send)
        stamps = [(b"x-request-id", this), *self._cross_origin.headers(origin, method)]

        began = time.perf_counter()
        status = 500  # uvicorn's answer if the application gives none

        # not a coroutine of its own: every answer passes here
        def stamped(message: Any) -> Any:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *stamps]
                if status == 405 or method == "OPTIONS":
                    headers = complete_methods(headers, self._methods.get(scope.get("path_template")))
                message = {**message, "headers": headers}
            return send(message)

        answer: ASGIApp = super().__call__
        try:
            try:
                if self._guarded:
                    await self._admit(
                        scope, authorization, is_preflight=self._cross_origin.is_preflight(origin, method)
                    )
                if scope["query_string"]:
                    self._check_parameters(scope)
                if direct := self._direct.get((method, path)):
                    scope["path_template"] = path
                    answer = await direct(scope, receive, self.state)
            except Exception as error:
                problem = error if isinstance(error, Problem) else from_exception(error)
                answer = to_response(problem).to_asgi_response(None, request=None)  # type: ignore[arg-type]
            await answer(scope, receive, stamped)
        finally:
            route = scope.get("path_template") or self._route(scope["method"], path)
            count_request(method, route, status, time.perf_counter() - began)

    def _route(self, method: str, path: str) -> str:
        """Return the route template of a request that was not routed."""
        try:
            return self.asgi_router.handle_routing(path=normalize_path(path), method=cast("Method", method))[4]
        except HTTPException:
            return "unknown"

    def _check_parameters(self, scope: Any) -> None:
        """Reject a query parameter that the route does not know, or that is there twice.

        Raises:
            Problem: `parameter_invalid`: the detail names the parameter, and those that the route knows.
        """
        if scope["method"] == "OPTIONS":  # it has the query of the request that it asks about
            return
        try:
            handler = self.asgi_router.handle_routing(path=normalize_path(scope["path"]), method=scope["method"])[1]
        except HTTPException:
            return  # answered by the router
        known = self._parameters[cast("HTTPRouteHandler", handler)]
        given = [name for name, _ in Request[Any, Any, Any](scope).query_params.multi_items()]
        for name in given:
            if name not in known:
                rest = f"only {', '.join(known)}" if known else "nor any other"
                raise Problem("parameter_invalid", f"there is no query parameter {name[:64]!r} here, {rest}")
            if given.count(name) > 1:
                raise Problem("parameter_invalid", f"the query parameter {name} is there more than once")

    async def _admit(self, scope: Any, authorization: bytes, *, is_preflight: bool) -> None:
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
        if self._keys is None or is_preflight:
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
        READER.set(key.key_id)
