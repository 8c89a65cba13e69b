"""API keys over HTTP: who gets in, what each scope may, how soon a revocation holds, and what the database is asked."""

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from service.database.calls import FIND_API_KEYS
from service.database.pool import Database
from service.http import authentication
from service.http.app import create_app
from service.http.middleware import is_public
from service.settings import Settings
from tests.support import (
    YESTERDAY,
    Api,
    Owner,
    assert_problem,
    meter_reading,
    new_pair,
    now,
    rfc3339,
    served,
    vehicle_reading,
)

REQUIRED = Settings(auth="required", device_rate=0, key_rate=0)


@pytest.fixture(scope="module")
async def guarded(database: Database, owner: Owner) -> AsyncIterator[Api]:
    """The service with ENERGY_AUTH=required, and without limits."""
    async with served(database, REQUIRED) as api:
        yield api


async def token(owner: Owner, scope: str, kind=None, devices=None, prefix=None, expires=None) -> str:
    query = "SELECT token FROM ops.create_api_key($1, $2, $3, $4, $5)"
    return await owner.fetchval(query, scope, kind, devices, prefix, expires)


async def revoke(owner: Owner, key: str) -> None:
    await owner.execute("SELECT ops.revoke_api_key($1)", key.partition(".")[0])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def ask(api: Api, key: str, method: str, path: str, body=None) -> httpx.Response:
    return await api.http.request(method, path, headers=bearer(key), json=body)


WRONG = [
    None,
    "",
    "Bearer",
    "Bearer x",
    "Bearer ek_0123456789abcdef0123",
    "Bearer ek_0123456789abcdef0123." + "A" * 43,
    "Bearer ek_0123456789abcdef0123." + "A" * 10_000,
    "Bearer ' OR 1=1 --." + "A" * 43,
    "Basic ZWs6c2VjcmV0",
    "Bearer \xff\xfe." + "A" * 43,
]


@pytest.mark.parametrize("header", WRONG, ids=lambda value: repr(value)[:40])
async def test_without_a_key_or_with_a_wrong_one_nobody_gets_in_and_all_are_told_the_same(
    guarded: Api, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = await guarded.http.get("/v1/analytics/fleet", headers=headers)
    assert_problem(answer, 401, "unauthorized", "Authorization: Bearer <keyId>.<secret>")
    assert answer.headers["www-authenticate"] == "Bearer"
    without = (await guarded.http.get("/v1/analytics/fleet")).json()
    assert {**answer.json(), "requestId": ""} == {**without, "requestId": ""}


async def test_the_right_id_with_a_wrong_secret_is_told_what_a_wrong_id_is(guarded: Api, owner: Owner) -> None:
    key = await token(owner, "admin")
    key_id, _, secret = key.partition(".")
    wrong = f"{key_id}.{'A' if secret[0] != 'A' else 'B'}{secret[1:]}"
    nobody = f"ek_{'0' * 20}.{secret}"
    answers = [(await ask(guarded, k, "GET", "/v1/analytics/fleet")) for k in (wrong, nobody, wrong, nobody)]
    assert len({(a.status_code, a.json()["detail"], a.headers["www-authenticate"]) for a in answers}) == 1
    assert answers[0].status_code == 401
    assert (await ask(guarded, key, "GET", "/v1/analytics/fleet")).status_code == 200


async def test_a_wrong_id_is_compared_with_a_secret_as_a_right_one_is(
    guarded: Api, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return False

    monkeypatch.setattr(authentication, "compare_digest", compare)
    key = await token(owner, "admin")
    for asked in (key, f"ek_{'1' * 20}.{key.partition('.')[2]}"):
        assert (await ask(guarded, asked, "GET", "/v1/analytics/fleet")).status_code == 401
    assert compared == [(32, 32), (32, 32)]


async def test_no_route_is_open_but_probes_and_documentation(guarded: Api) -> None:
    app = create_app(None, REQUIRED)
    opened = set()
    for route in app.routes:
        for method in getattr(route, "methods", ()):
            path = re.sub(r"\{[^}]*\}", "x", route.path)
            if (await guarded.http.request(method, path)).status_code != 401:
                opened.add(f"{method} {path}")
    assert {path.split("/")[1] for path in opened} <= {"", "health", "docs", "dashboard"}, opened
    assert {"GET /", "GET /health/live", "GET /health/ready"} <= opened
    for path in ("/v1/nothing", "/nothing", "/healthy", "/docsx", "//v1/analytics/fleet", "/metrics", "/docs/../v1/x"):
        assert (await guarded.http.get(path)).status_code in {401, 404}, path
        assert path.startswith(("/docs/", "/dashboard/")) or not is_public("GET", path)
    assert (await guarded.http.post("/health/live")).status_code == 401


GET_ROUTES = [
    "/v1/analytics/performance/V1",
    "/v1/analytics/efficiency",
    "/v1/analytics/fleet",
    "/v1/history/meter/M1",
    "/v1/history/vehicle/V1",
    "/v1/links/V1",
    "/v1/devices",
    "/v1/devices/meter/M1",
    "/v1/devices/meter/M1/vehicles",
    "/v1/devices/vehicle/V1",
    "/v1/status/meter/M1",
    "/v1/status/vehicle/V1",
]
CHANGES = [
    ("PUT", "/v1/links/V1"),
    ("DELETE", "/v1/links/V1"),
    ("PUT", "/v1/devices/meter/M1"),
    ("PUT", "/v1/devices/vehicle/V1"),
]
POSTS = [
    ("POST", f"/v1/ingest{path}") for path in ("", "/meter", "/vehicle", "/batch", "/meter/batch", "/vehicle/batch")
]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("device", POSTS),
        ("gateway", POSTS),
        ("read", [("GET", path) for path in GET_ROUTES]),
        ("admin", [*POSTS, *CHANGES, *(("GET", path) for path in GET_ROUTES)]),
    ],
)
async def test_a_scope_opens_its_routes_and_no_others(guarded: Api, owner: Owner, scope: str, allowed: list) -> None:
    devices = {"device": ("meter", [new_pair().meter]), "gateway": (None, ["M1", "V1"])}
    key = await token(owner, scope, *devices.get(scope, ()))
    for method, path in [*POSTS, *CHANGES, *(("GET", path) for path in GET_ROUTES)]:
        answer = await guarded.http.request(method, path, headers={**bearer(key), "content-type": "text/plain"})
        if (method, path) in allowed:
            assert answer.status_code not in {401, 403}, (method, path, answer.text)
        else:
            assert_problem(answer, 403, "forbidden", scope)


async def test_a_devices_key_stores_its_own_readings_and_nobody_elses(guarded: Api, owner: Owner) -> None:
    own, other = new_pair(), new_pair()
    key = await token(owner, "device", "meter", [own.meter])
    stored = await ask(guarded, key, "POST", "/v1/ingest/meter", meter_reading(own.meter))
    assert (stored.status_code, stored.json()) == (201, {"outcome": "stored"})
    for path, reading in (
        ("/v1/ingest/meter", meter_reading(other.meter)),
        ("/v1/ingest", meter_reading(other.meter)),
        ("/v1/ingest/vehicle", vehicle_reading(own.meter)),  # the vehicle of that name is another device
        ("/v1/ingest/meter", meter_reading(other.meter, voltage="x")),
        ("/v1/ingest/meter", meter_reading(other.meter, voltage=...)),
        ("/v1/ingest/meter", meter_reading(other.meter, voltage=20_000)),
    ):
        assert_problem(await ask(guarded, key, "POST", path, reading), 403, "device_forbidden", "this key may not send")
    headers = {**bearer(key), "content-type": "application/json"}
    for path in ("/v1/ingest/meter", "/v1/ingest"):
        not_finite = json.dumps(meter_reading(other.meter, voltage=math.nan)).replace("NaN", "-nan").encode()
        answer = await guarded.http.post(path, content=not_finite, headers=headers)
        assert_problem(answer, 403, "device_forbidden", "this key may not send")
    counts = await owner.fetch(
        "SELECT meter_id FROM telemetry.meter_telemetry_history WHERE meter_id = ANY($1) "
        "UNION ALL SELECT payload FROM telemetry.rejected_reading WHERE payload LIKE '%' || $2 || '%'",
        [own.meter, other.meter],
        other.meter,
    )
    assert [row[0] for row in counts] == [own.meter]


async def test_its_own_rejected_reading_is_kept_as_ever(guarded: Api, owner: Owner) -> None:
    own = new_pair().meter
    key = await token(owner, "device", "meter", [own])
    refused = await ask(guarded, key, "POST", "/v1/ingest/meter", meter_reading(own, voltage="x"))
    assert_problem(refused, 422, "field_type_invalid")
    kept = "SELECT count(*) FROM telemetry.rejected_reading WHERE payload LIKE '%' || $1 || '%'"
    assert await owner.fetchval(kept, own) == 1


@pytest.mark.parametrize("path", ["/v1/ingest/meter/batch", "/v1/ingest/batch"])
async def test_of_a_gateways_batch_only_its_devices_readings_are_stored(guarded: Api, owner: Owner, path: str) -> None:
    prefix = f"{new_pair().meter}-hall-"
    listed, other = new_pair().meter, new_pair().meter
    key = await token(owner, "gateway", "meter", [listed], prefix)
    batch = [
        meter_reading(f"{prefix}1"),
        meter_reading(other),
        meter_reading(listed),
        meter_reading(other, voltage="x"),
        meter_reading(f"{prefix}2", voltage="x"),
        meter_reading(prefix[:-1]),
        17,
    ]
    answer = await ask(guarded, key, "POST", path, batch)
    assert answer.status_code == 207
    body = answer.json()
    assert (body["received"], body["stored"], body["rejected"]) == (7, 2, 5)
    assert [(error["index"], error["code"]) for error in body["errors"]] == [
        (1, "device_forbidden"),
        (3, "device_forbidden"),
        (4, "field_type_invalid"),
        (5, "device_forbidden"),
        (6, "field_type_invalid"),
    ]
    rejected = "SELECT payload FROM telemetry.rejected_reading WHERE payload LIKE '%' || $1 || '%'"
    assert await owner.fetch(rejected, other) == []
    assert len(await owner.fetch(rejected, prefix)) == 1


async def test_a_gateway_without_a_kind_and_with_an_empty_prefix_sends_for_the_whole_fleet(
    guarded: Api, owner: Owner
) -> None:
    pair = new_pair()
    key = await token(owner, "gateway", prefix="")
    batch = [meter_reading(pair.meter), vehicle_reading(pair.vehicle)]
    answer = await ask(guarded, key, "POST", "/v1/ingest/batch", batch)
    assert (answer.status_code, answer.json()["stored"]) == (201, 2)


async def test_a_batch_of_nothing_but_other_devices_is_refused_whole(guarded: Api, owner: Owner) -> None:
    key = await token(owner, "gateway", "meter", ["M1"])
    answer = await ask(guarded, key, "POST", "/v1/ingest/meter/batch", [meter_reading(new_pair().meter)])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "device_forbidden")


async def test_a_revocation_is_honoured_within_5_seconds_and_a_key_until_then(database: Database, owner: Owner) -> None:
    key = await token(owner, "read")
    async with served(database, REQUIRED) as first, served(database, REQUIRED) as second:  # as two workers
        for api in (first, second):
            assert (await ask(api, key, "GET", "/v1/analytics/fleet")).status_code == 200
        await revoke(owner, key)
        deadline = time.monotonic() + 5
        waiting = [first, second]
        while waiting:
            assert time.monotonic() < deadline, "it still gets in"
            waiting = [a for a in waiting if (await ask(a, key, "GET", "/v1/links/V1")).status_code != 401]
            await asyncio.sleep(0.05)


async def test_a_new_key_and_a_key_that_was_unknown_before_get_in(guarded: Api, owner: Owner) -> None:
    for _ in range(2):
        key = await token(owner, "read")
        assert (await ask(guarded, key, "GET", "/v1/analytics/fleet")).status_code == 200


async def test_a_key_ends_when_it_expires_though_it_is_remembered(guarded: Api, owner: Owner) -> None:
    key = await token(owner, "read", expires=now() + timedelta(seconds=1))
    assert (await ask(guarded, key, "GET", "/v1/analytics/fleet")).status_code == 200
    await asyncio.sleep(1.1)
    assert (await ask(guarded, key, "GET", "/v1/analytics/fleet")).status_code == 401


class Counting:
    """A database that counts what it is asked about keys, or is away."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.asked = 0
        self.away = False

    async def call_grouped(self, call, rows: list):
        self.asked += call is FIND_API_KEYS
        if self.away:
            raise ConnectionRefusedError("away")
        return await self.database.call_grouped(call, rows)

    async def write_rows(self, query: str, *arguments):
        if self.away:
            raise ConnectionRefusedError("away")
        return await self.database.write_rows(query, *arguments)


async def test_a_key_is_looked_up_once_whether_it_exists_or_not(database: Database, owner: Owner) -> None:
    counting = Counting(database)
    keys = authentication.Keys(lambda: counting, REQUIRED)
    key = (await token(owner, "read")).encode()
    for _ in range(50):
        assert (await keys.authenticate(b"Bearer " + key)).scope == "read"
    assert counting.asked == 1
    for _ in range(50):
        with pytest.raises(Exception, match="unauthorized"):
            await keys.authenticate(b"Bearer ek_" + b"2" * 20 + b"." + b"A" * 43)
    assert counting.asked == 2
    for nonsense in (b"Bearer ek_short." + b"A" * 43, b"Bearer ek_" + b"2" * 20 + b".short"):
        with pytest.raises(Exception, match="unauthorized"):
            await keys.authenticate(nonsense)
    assert counting.asked == 2, "what cannot be a key is not looked for"


async def test_what_is_remembered_is_bounded_and_bad_keys_do_not_push_out_good_ones(
    database: Database, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MOST_KEYS", 3)
    monkeypatch.setattr(authentication, "MOST_UNKNOWN", 5)
    counting = Counting(database)
    keys = authentication.Keys(lambda: counting, REQUIRED)
    good = [(await token(owner, "read")).encode() for _ in range(3)]
    for key in good:
        await keys.authenticate(b"Bearer " + key)
    for number in range(20):
        with pytest.raises(Exception, match="unauthorized"):
            await keys.authenticate(f"Bearer ek_{number:020x}.{'A' * 43}".encode())
    assert (len(keys._known), len(keys._unknown)) == (3, 5)
    before = counting.asked
    for key in good:
        await keys.authenticate(b"Bearer " + key)
    assert counting.asked == before


async def test_while_the_database_is_away_a_key_it_would_have_to_be_asked_for_is_503(
    database: Database, owner: Owner
) -> None:
    counting = Counting(database)
    key, other = await token(owner, "read"), await token(owner, "read")
    async with served(counting, REQUIRED) as api:  # type: ignore[arg-type]
        assert (await ask(api, key, "GET", "/v1/nothing")).status_code == 404
        counting.away = True
        assert (await ask(api, key, "GET", "/v1/nothing")).status_code == 404, "remembered"
        answer = await ask(api, other, "GET", "/v1/nothing")
        assert_problem(answer, 503, "database_unavailable")
        assert answer.headers["retry-after"]
        counting.away = False
        assert (await ask(api, other, "GET", "/v1/nothing")).status_code == 404


async def test_what_was_looked_up_before_a_change_is_not_remembered_after_it(database: Database, owner: Owner) -> None:
    class Slow(Counting):
        async def call_grouped(self, call, rows: list):
            found = await super().call_grouped(call, rows)
            await revoke(owner, key)
            await keys._check()  # the change is seen while the answer is still on its way
            return found

    key = await token(owner, "read")
    slow = Slow(database)
    keys = authentication.Keys(lambda: slow, REQUIRED)
    await keys.authenticate(f"Bearer {key}".encode())
    keys._database = lambda: database
    with pytest.raises(Exception, match="unauthorized"):
        await keys.authenticate(f"Bearer {key}".encode())


async def test_neither_token_nor_payload_is_in_a_log_or_an_answer(
    guarded: Api, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    key = await token(owner, "gateway", "meter", [new_pair().meter])
    secret = key.partition(".")[2]
    said = []
    with caplog.at_level(logging.DEBUG):
        for sent in (key, key[:-1], f"{key}x"):
            for body in (meter_reading("other-payload"), {"other-payload": 1}, "other-payload"):
                answer = await ask(guarded, sent, "POST", "/v1/ingest/meter", body)
                said.append(str(answer.headers) + answer.text.replace("other-payload", "", 1))
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "asyncio"))]
    logged = "\n".join(record.getMessage() + str(record.exc_info) for record in ours)
    assert secret[:20] not in logged + "".join(said)
    assert "other-payload" not in logged


async def test_the_document_says_which_routes_need_a_key() -> None:
    document = create_app(None, Settings()).openapi_schema.to_schema()
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            open_to_all = path.startswith("/health/")
            assert ({"401", "403", "429"} <= operation["responses"].keys()) is not open_to_all, (method, path)
            assert (operation.get("security") == [{}]) is open_to_all, (method, path)
    assert document["security"] == [{"apiKey": []}]


async def test_without_required_keys_a_key_is_not_even_looked_at(api: Api) -> None:
    answer = await api.http.get("/v1/links/V1", headers=bearer("nonsense"))
    assert answer.status_code != 401
    reading = meter_reading(new_pair().meter, rfc3339(YESTERDAY))
    assert (await api.post("/v1/ingest/meter", reading)).status_code == 201


@pytest.mark.concurrent
async def test_a_flood_of_bad_keys_takes_two_connections_at_most(database: Database, owner: Owner) -> None:
    keys = authentication.Keys(lambda: database, REQUIRED)

    async def knock(number: int) -> None:
        with pytest.raises(Exception, match="unauthorized"):
            await keys.authenticate(f"Bearer ek_{number:020x}.{'A' * 43}".encode())

    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            size, idle = database.write.get_size(), database.write.get_idle_size()
            most = max(most, size - idle)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(knock(10_000 + number) for number in range(3000)))
    watching.cancel()
    assert 1 <= most <= 3


async def last_used(owner: Owner, key: str) -> datetime | None:
    return await owner.fetchval("SELECT last_used_at FROM ops.api_key WHERE key_id = $1", key.partition(".")[0])


async def test_when_a_key_was_last_used_is_known(
    database: Database, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "REPORT_S", 0.3)
    used, unused = [await token(owner, "read") for _ in range(2)]
    revision = await owner.fetchval("SELECT revision FROM telemetry.api_key_revision")
    async with served(database, REQUIRED) as api:
        began = now()
        wrong = unused[:-1] + ("A" if unused[-1] != "A" else "B")
        for key in (used, wrong):
            await ask(api, key, "GET", "/v1/analytics/fleet")
        first = await told(owner, used, after=began)
        # a report that fails is told with the next
        with monkeypatch.context() as patch:
            patch.setattr(authentication, "RECORD_API_KEY_USE", "SELECT pg_terminate_backend(0), 1 / 0, $1::text[]")
            patch.setattr(authentication, "is_retryable", lambda error: True)
            await ask(api, used, "GET", "/v1/analytics/fleet")
            await asyncio.sleep(0.6)
        other = await token(owner, "read")
        await ask(api, other, "GET", "/v1/analytics/fleet")
        await told(owner, other, after=began)
        assert await last_used(owner, used) > first
    assert await last_used(owner, unused) is None
    # nor does a worker forget what it knows of keys for it: that of `other` is the only change
    assert await owner.fetchval("SELECT revision FROM telemetry.api_key_revision") == revision + 1


async def told(owner: Owner, key: str, *, after: datetime) -> datetime:
    async with asyncio.timeout(10):
        while (used := await last_used(owner, key)) is None:  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)
    assert after - timedelta(seconds=1) < used <= now() + timedelta(seconds=1)
    return used


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_an_exchange_is_declared_by_an_admin_key_only_and_bears_its_id(
    guarded: Api, owner: Owner, kind: str
) -> None:
    device = getattr(new_pair(), kind)
    await owner.execute("SELECT api.set_device_profile($1, $2, 'register')", kind, device)
    path = f"/v1/devices/{kind}/{device}/exchange"
    exchange = {"at": rfc3339(YESTERDAY), "lastRegister": 4000.5, "firstRegister": 25000}
    keys = {scope: await token(owner, scope) for scope in ("read", "admin")}
    keys |= {scope: await token(owner, scope, kind, [device]) for scope in ("device", "gateway")}
    for scope in ("read", "device", "gateway"):
        assert_problem(await ask(guarded, keys[scope], "POST", path, exchange), 403, "forbidden")
    answer = await ask(guarded, keys["admin"], "POST", path, exchange)
    assert (answer.status_code, answer.json()["declaredBy"]) == (201, keys["admin"].partition(".")[0])
    assert (await ask(guarded, keys["read"], "GET", path)).json()["items"] == [answer.json()]
    assert_problem(await ask(guarded, keys["gateway"], "GET", path), 403, "forbidden")
