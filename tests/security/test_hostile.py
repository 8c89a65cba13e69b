"""Hostile input through every door: a documented rejection or an empty answer, never a bug, never SQL."""

import json
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from service.errors import OUTCOMES, PROBLEMS
from service.http.app import create_app
from service.settings import Settings
from tests.support import Api, Owner, meter_reading, new_pair, vehicle_reading
from tests.support.delivery import open_alert

HOSTILE = [
    "x'; CREATE TABLE public.pwned (); --",
    'x"; CREATE TABLE public.pwned (); --',
    "$$; CREATE TABLE public.pwned (); $$",
    "\\'; CREATE TABLE public.pwned (); --",
    "' OR '1'='1",
    "{NULL,x}",
    "(,,)",
    "%s %I $1 :x {0}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a\r\nSet-Cookie: x=y",
    "\u202e\u0000\ud7ff\U0001f600",
    "-NaN",
    "-1e999",
    "9" * 400,
    "A" * 5_000,
]
DOCUMENTED = OUTCOMES.keys() | PROBLEMS.keys()


def short(value: object) -> str:
    return ascii(value)[:30]


def operations() -> list[tuple[str, str, list[dict[str, Any]]]]:
    document = create_app(None, Settings()).openapi_schema.to_schema()
    return [
        (method.upper(), path, operation.get("parameters", []))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=short)
async def test_hostile_text_in_any_parameter_of_any_route_is_rejected_or_finds_nothing(
    api: Api, owner: Owner, text: str
) -> None:
    asked = 0
    for method, path, parameters in operations():
        in_path = [p["name"] for p in parameters if p["in"] == "path"]
        for parameter in parameters:
            name = parameter["name"]
            values = {n: quote(text, safe="") if n == name else "V1" for n in in_path}
            query = {} if parameter["in"] == "path" else {name: text}
            headers = {"content-type": "application/json"}
            answer = await api.http.request(method, path.format(**values), params=query, headers=headers, content=b"{}")
            asked += 1
            assert answer.status_code < 500, (method, path, name, answer.text)
            if answer.status_code >= 400:
                assert answer.json()["code"] in DOCUMENTED, (method, path, name)
            assert "set-cookie" not in answer.headers
    assert asked >= 40
    assert await owner.fetchval("SELECT to_regclass('public.pwned')") is None


@pytest.mark.parametrize("text", HOSTILE, ids=short)
async def test_hostile_text_in_any_field_of_a_body_is_rejected(api: Api, owner: Owner, text: str) -> None:
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/ingest/meter", meter_reading("M1")),
        ("POST", "/v1/ingest/vehicle", vehicle_reading("V1")),
        ("POST", "/v1/ingest", vehicle_reading("V1")),
        ("PUT", "/v1/links/V1", {"meterId": "M1", "from": "2026-01-01T00:00:00Z"}),
        ("PUT", "/v1/devices/meter/M1", {"energyKind": "interval", "registerMax": 1.0, "maxKw": 1.0}),
        (
            "POST",
            "/v1/devices/meter/M1/exchange",
            {"at": "2026-01-01T00:00:00Z", "lastRegister": 1, "firstRegister": 1},
        ),
    ]
    for method, path, body in bodies:
        for name in body:
            for changed in ({**body, name: text}, {**body, text: 1}):
                answer = await api.http.request(method, path, json=changed)
                assert answer.status_code in {400, 422}, (path, name, answer.text)
                assert answer.json()["code"] in DOCUMENTED
    number = await open_alert(owner, new_pair().vehicle)
    path = f"/v1/alerts/{number}/acknowledge"
    assert (await api.post(path, {text: "x"})).status_code in {400, 422}
    answer = await api.post(path, {"note": text})
    assert (answer.status_code, answer.json().get("note")) in {(200, text.replace("\x00", "\ufffd")), (422, None)}
    batch = await api.post("/v1/ingest/batch", [meter_reading(text), {text: text}, text])
    assert (batch.status_code, batch.json()["rejected"]) == (422, 3)
    assert await owner.fetchval("SELECT to_regclass('public.pwned')") is None


async def test_what_is_hostile_in_its_depth_is_rejected(api: Api) -> None:
    for body in (b"[" * 100_000, b'{"meterId":' * 50_000, b"[" * 500 + b"]" * 500, json.dumps("x").encode()):
        for path in ("/v1/ingest", "/v1/ingest/batch", "/v1/ingest/meter/batch"):
            answer = await api.post(path, body)
            assert answer.status_code in {400, 413, 422}, (path, answer.text)


FUNCTIONS = """
SELECT p.oid::regprocedure::text AS signature, p.proname AS name, p.proargtypes::oid[] AS types
FROM pg_proc AS p
WHERE p.pronamespace = $1::text::regnamespace AND p.prokind = 'f'
AND ($1 = 'api' OR has_function_privilege('energy_dba', p.oid, 'EXECUTE'))
ORDER BY 1
"""
FIELDS = """
SELECT a.atttypid::regtype::text AS type, a.atttypid = 'text'::regtype AS is_text
FROM pg_type AS e JOIN pg_attribute AS a ON a.attrelid = e.typrelid AND a.attnum > 0 AND NOT a.attisdropped
WHERE e.typarray = $1 ORDER BY a.attnum
"""


async def hostile_literal(connection: asyncpg.Connection, type_oid: int) -> str | None:
    """An argument of this type that is made of the text $1; None where the type takes no text."""
    name = await connection.fetchval("SELECT $1::oid::regtype::text", type_oid)
    if name in {"text", "text[]"}:
        return "$1::text" if name == "text" else "ARRAY[$1::text]"
    fields = await connection.fetch(FIELDS, type_oid)
    if not any(field["is_text"] for field in fields):
        return None
    row = ", ".join("$1::text" if field["is_text"] else f"NULL::{field['type']}" for field in fields)
    return f"ARRAY[ROW({row})]::{name}"


@pytest.mark.parametrize(
    ("schema", "among"),
    [
        (
            "api",
            {"ingest_meter_readings", "get_vehicle_performance", "link_vehicle", "make_import_table", "get_api_keys"},
        ),
        ("ops", {"set_webhook", "set_alert_rule", "preview_alert_rule", "set_price", "set_policy", "create_api_key"}),
    ],
    ids=["the service's", "the DBA's"],
)
async def test_hostile_text_in_any_parameter_of_any_function_is_no_sql(
    owner: Owner, schema: str, among: set[str]
) -> None:
    tried = set()
    async with owner.connection() as connection:
        for function in await connection.fetch(FUNCTIONS, schema):
            plain = [
                f"NULL::{await connection.fetchval('SELECT $1::oid::regtype::text', oid)}" for oid in function["types"]
            ]
            for place, oid in enumerate(function["types"]):
                literal = await hostile_literal(connection, oid)
                if literal is None:
                    continue
                tried.add(function["name"])
                arguments = ", ".join([*plain[:place], literal, *plain[place + 1 :]])
                call = f"SELECT * FROM {schema}.{function['name']}({arguments})"
                for text in HOSTILE:
                    transaction = connection.transaction()
                    await transaction.start()
                    try:
                        await connection.fetch(call, text.replace("\x00", ""))
                        pwned = await connection.fetchval("SELECT to_regclass('public.pwned')")
                        assert pwned is None, (call, text)
                    except asyncpg.PostgresError as error:
                        # ours, or PostgreSQL's word for a value that is none; not a statement that came out wrong
                        assert error.sqlstate[:2] in {"IE", "22", "23"}, (call, text, error)
                    finally:
                        await transaction.rollback()
    assert among <= tried
