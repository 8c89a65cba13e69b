"""API keys: whose a request is, and what it may.

Each worker remembers the keys it has seen. It asks the database every `CHECK_S` whether any key has changed, and if so
forgets them all: so a revocation holds within 5 seconds, and a key costs a look-up once.
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
"""How long what is remembered holds before the database is asked again; with the asking, below 5 seconds."""
REPORT_S = 60.0
"""How long a worker gathers which keys are used before it tells the database."""
MOST_KEYS = 50_000
MOST_UNKNOWN = 10_000
"""Key ids that are remembered as nobody's, apart from the keys, so that those do not push these out."""

# what could not be a token of ours never reaches the database
_read_token = re.compile(rb"[Bb]earer +(ek_[0-9a-f]{20})\.([A-Za-z0-9_-]{43}) *").fullmatch
_NOBODYS = secrets.token_bytes(32)
"""What the secret of a key that does not exist is compared with, so that it takes as long."""


class Key:
    """A live API key.

    Attributes:
        key_id: the part of the token that is no secret.
        scope: device, gateway, read or admin.
        sends_all: whether it may send readings of any device.
        digest: SHA-256 of its secret.
        expires: Unix time of its end.
        bucket: how many requests it may still send now; None for any number.
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
        """Whether it may send readings of this meter or vehicle."""
        if self.sends_all:
            return True
        if self.scope not in {"device", "gateway"} or (self._kind and self._kind != kind):
            return False
        return device in self._devices or (self._prefix is not None and device.startswith(self._prefix))


class Keys:
    """The keys that this worker remembers, and what asks the database for others."""

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
        """The key in an Authorization header.

        Raises:
            Problem: `unauthorized`, in the same words whatever is wrong with it.
            Exception: the database would have to be asked, and does not answer.
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
        """Tell the database, a while from now, which keys were used until then; of no use is a request held up."""
        await asyncio.sleep(REPORT_S)
        self._reporting = None
        used, self._used = sorted(self._used), set()
        try:
            await self._database().write_rows(RECORD_API_KEY_USE, used)
        except Exception as error:
            if not is_retryable(error):
                raise
            self._used.update(used)  # told with the next

    async def _find(self, key_id: str) -> Key | None:
        if time.monotonic() >= self._holds_until:
            await self._checking.run(self._check)
        if key := self._known.get(key_id):
            return key
        if key_id in self._unknown:
            return None
        ids: list[Any] = [key_id]
        # in company with others that wait, so that a flood of unknown ids takes two connections and not all
        [row] = await self._database().call_grouped(FIND_API_KEYS, ids)
        key = Key(row, self._settings) if row["key_id"] else None
        if row["revision"] == self._revision:  # else it may be older than what was just forgotten
            if key:
                _remember(self._known, key_id, key, MOST_KEYS)
            else:
                _remember(self._unknown, key_id, None, MOST_UNKNOWN)
        return key

    async def _check(self) -> None:
        """Ask whether keys have changed."""
        began = time.monotonic()
        # on the primary: a replica may be behind
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
    """The problem of a request without a key, or with one that does not hold."""
    return Problem("unauthorized", "send a live API key, as Authorization: Bearer <keyId>.<secret>")


def check_device(key: Key | None, kind: str, device: str) -> None:
    """Refuse a reading of a device that is not the key's.

    Raises:
        Problem: `device_forbidden`.
    """
    if key is not None and not key.may_send(kind, device):
        count_readings(kind, "device_forbidden")
        raise Problem("device_forbidden", f"this key may not send readings of {kind} {device[:64]!r}")
