"""API keys: authentication, and the check of a device against a key's scope.

Each worker caches the keys it has seen. Every `CHECK_S` it asks the database whether any key has changed, and if so
empties the cache. So a revocation takes effect within 5 seconds, and a key costs one look-up.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import time
from collections.abc import Callable
from contextvars import Context
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from service.database.calls import FIND_API_KEYS, GET_API_KEY_REVISION, RECORD_API_KEY_USE
from service.database.failures import is_retryable
from service.database.single_flight import SingleFlight
from service.errors import Problem
from service.http.rate_limit import Bucket
from service.observability.metrics import count_readings
from service.settings import Settings

if TYPE_CHECKING:
    from service.database.pool import Database

CHECK_S = 3.0
"""The cache is valid for this long, then the database is asked again; with the query, below 5 seconds."""
REPORT_S = 60.0
"""Interval at which a worker reports the keys used to the database."""
MOST_KEYS = 50_000
MOST_UNKNOWN = 10_000
"""Unknown key ids in the cache. They are kept apart from the keys, so that they cannot push those out."""

# tokens of any other form never reach the database
_read_token = re.compile(rb"[Bb]earer +(ek_[0-9a-f]{20})\.([A-Za-z0-9_-]{43}) *").fullmatch
_NOBODYS = secrets.token_bytes(32)
"""Digest that the secret of an unknown key is compared with, so that the comparison takes as long."""


class Key:
    """A live API key.

    Attributes:
        key_id: the public part of the token.
        scope: device, gateway, read or admin.
        sends_all: true if it may send readings of any device.
        digest: SHA-256 of its secret.
        expires: Unix time of its end.
        bucket: its remaining requests; None for no limit.
    """

    __slots__ = ("_devices", "_kind", "_prefix", "bucket", "digest", "expires", "key_id", "scope", "sends_all")

    def __init__(self, row: Any, settings: Settings) -> None:
        self.key_id: str = row["key_id"]
        self.scope: str = row["scope"]
        self.sends_all = self.scope == "admin"
        self.digest: bytes = row["secret_sha256"]
        self.expires = row["expires_at"].timestamp() if row["expires_at"] else math.inf
        rate = settings.device_rate if self.scope == "device" else settings.key_rate
        self.bucket = Bucket(rate) if rate else None
        self._kind: str | None = row["kind"]
        self._devices = frozenset(row["device_ids"])
        self._prefix: str | None = row["id_prefix"]

    def may_send(self, kind: str, device: str) -> bool:
        """Return true if the key may send readings of this device."""
        if self.sends_all:
            return True
        if self.scope not in {"device", "gateway"} or (self._kind and self._kind != kind):
            return False
        return device in self._devices or (self._prefix is not None and device.startswith(self._prefix))


class Keys:
    """The cache of API keys of this worker."""

    def __init__(self, database: Callable[[], Database], settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._known: dict[str, Key] = {}
        self._unknown: dict[str, None] = {}
        self._revision: int | None = None
        self._holds_until = -math.inf
        self._checking = SingleFlight[None]()
        self._used: set[str] = set()
        self._reporting: asyncio.Task[None] | None = None

    async def authenticate(self, authorization: bytes) -> Key:
        """Return the key of an Authorization header.

        Raises:
            Problem: `unauthorized`, in the same words for every reason.
            Exception: the database had to be asked, and did not answer.
        """
        token = _read_token(authorization)
        if token is None:
            raise unauthorized()
        key_id = token[1].decode()
        key = self._known.get(key_id) if time.monotonic() < self._holds_until else None
        if key is None:
            key = await self._find(key_id)
        matches = compare_digest(sha256(token[2]).digest(), key.digest if key else _NOBODYS)
        if key is None or not matches or time.time() >= key.expires:
            raise unauthorized()
        self._used.add(key_id)
        if self._reporting is None:
            # a context of its own: the report belongs to no request, and must not carry the id of the first
            self._reporting = asyncio.get_running_loop().create_task(self._report(), context=Context())
        return key

    async def _report(self) -> None:
        """Report the used keys to the database, `REPORT_S` from now. Reporting never delays a request."""
        await asyncio.sleep(REPORT_S)
        self._reporting = None
        used, self._used = sorted(self._used), set()
        try:
            await self._database().write_rows(RECORD_API_KEY_USE, used)
        except Exception as error:
            if not is_retryable(error):
                raise
            self._used.update(used)  # reported with the next

    async def _find(self, key_id: str) -> Key | None:
        if time.monotonic() >= self._holds_until:
            await self._checking.run(self._check)
        if key := self._known.get(key_id):
            return key
        if key_id in self._unknown:
            return None
        ids: list[Any] = [key_id]
        # grouped, so that a flood of unknown ids takes two connections at most
        [row] = await self._database().call_grouped(FIND_API_KEYS, ids)
        key = Key(row, self._settings) if row["key_id"] else None
        if row["revision"] == self._revision:  # else the row may be older than the last change
            if key:
                _remember(self._known, key_id, key, MOST_KEYS)
            else:
                _remember(self._unknown, key_id, None, MOST_UNKNOWN)
        return key

    async def _check(self) -> None:
        """Ask the database whether keys have changed, and empty the cache if so."""
        began = time.monotonic()
        # from the primary: a replica may be behind
        [row] = await self._database().write_rows(GET_API_KEY_REVISION)
        if row["revision"] != self._revision:
            self._revision = row["revision"]
            self._known.clear()
            self._unknown.clear()
        self._holds_until = began + CHECK_S


def _remember(known: dict[str, Any], key_id: str, key: Any, most: int) -> None:
    if len(known) >= most:
        del known[next(iter(known))]
    known[key_id] = key


def unauthorized() -> Problem:
    """Return the problem of a request without a valid key."""
    return Problem("unauthorized", "send a live API key, as Authorization: Bearer <keyId>.<secret>")


def check_device(key: Key | None, kind: str, device: str) -> None:
    """Reject a reading of a device that the key does not cover.

    Raises:
        Problem: `device_forbidden`.
    """
    if key is not None and not key.may_send(kind, device):
        count_readings(kind, "device_forbidden")
        raise Problem("device_forbidden", f"this key may not send readings of {kind} {device[:64]!r}")
