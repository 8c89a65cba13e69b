"""API keys in SQL: what may be made, that secrets are nowhere, and that every change is seen."""

import asyncio
import hashlib
from datetime import timedelta

import asyncpg
import pytest

from tests.support import YESTERDAY, Owner, new_pair, now

CREATE = "SELECT * FROM ops.create_api_key($1, $2, $3, $4, $5, $6)"
REVISION = "SELECT revision FROM telemetry.api_key_revision"


async def create(owner: Owner, scope: str = "read", kind=None, devices=None, prefix=None, expires=None, note=""):
    [row] = await owner.fetch(CREATE, scope, kind, devices, prefix, expires, note)
    return row


async def test_a_token_is_256_random_bits_of_which_only_the_hash_is_stored(owner: Owner) -> None:
    made = [await create(owner, note="secrets") for _ in range(20)]
    assert len({row["token"] for row in made}) == len({row["key_id"] for row in made}) == 20
    for row in made:
        key_id, _, secret = row["token"].partition(".")
        assert key_id == row["key_id"]
        assert len(secret) == 43, "32 bytes in base64url"
        stored = await owner.fetchval("SELECT k::text FROM telemetry.api_key AS k WHERE key_id = $1", key_id)
        assert secret not in stored
        assert hashlib.sha256(secret.encode()).hexdigest() in stored
    [columns] = await owner.fetch("SELECT * FROM ops.api_key LIMIT 1")
    assert not [name for name in columns.keys() if "secret" in name]  # noqa: SIM118


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scope": "root"}, "scope must be device, gateway, read or admin"),
        ({"scope": None}, "scope must be"),
        ({"scope": "device"}, "a device key must be given a kind and one device"),
        ({"scope": "device", "devices": ["M1"]}, "a device key must be given a kind"),
        ({"scope": "device", "kind": "meter", "devices": ["M1", "M2"]}, "one device"),
        ({"scope": "device", "kind": "meter", "devices": ["M1"], "prefix": "M"}, "no prefix"),
        ({"scope": "device", "kind": "meter", "devices": ["M 1"]}, "device must be 1 to 64 characters"),
        ({"scope": "device", "kind": "meter", "devices": [None]}, "device must be 1 to 64 characters"),
        ({"scope": "gateway"}, "a gateway key must be given devices, a prefix, or both"),
        ({"scope": "gateway", "prefix": "M%"}, "prefix must be the beginning of a device id"),
        ({"scope": "gateway", "kind": "house", "prefix": "M"}, "kind must be meter or vehicle"),
        ({"scope": "read", "prefix": ""}, "must be left out for read and admin"),
        ({"scope": "admin", "devices": ["M1"]}, "must be left out for read and admin"),
        ({"expires": YESTERDAY}, "expiry must be in the future"),
        ({"note": "a\nb"}, "note must be at most 200 printable characters"),
        ({"note": "a" * 201}, "note must be at most 200 printable characters"),
    ],
    ids=str,
)
async def test_a_key_that_makes_no_sense_is_refused_by_name(owner: Owner, arguments: dict, words: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match=words) as refused:
        await create(owner, **arguments)
    assert refused.value.sqlstate == "IE004"


async def test_a_device_has_at_most_two_live_keys(owner: Owner) -> None:
    device = new_pair().meter
    arguments = {"scope": "device", "kind": "meter", "devices": [device]}
    first = await create(owner, **arguments)
    await create(owner, **arguments)
    with pytest.raises(asyncpg.PostgresError, match=f"meter {device} has two live keys already"):
        await create(owner, **arguments)
    await create(owner, scope="device", kind="vehicle", devices=[device])  # another device
    await owner.execute("SELECT ops.revoke_api_key($1)", first["key_id"])
    third = await create(owner, **arguments)
    await owner.execute(
        "UPDATE telemetry.api_key SET expires_at = now() - INTERVAL '1 second' WHERE key_id = $1", third["key_id"]
    )
    await create(owner, **arguments)


@pytest.mark.concurrent
async def test_of_many_that_make_keys_of_a_device_at_once_two_succeed(owner: Owner, test_database) -> None:
    device = new_pair().vehicle
    connections = [await asyncpg.connect(test_database.url) for _ in range(6)]
    made = await asyncio.gather(
        *(c.fetch(CREATE, "device", "vehicle", [device], None, None, "") for c in connections), return_exceptions=True
    )
    for connection in connections:
        connection.terminate()
    assert sum(isinstance(result, list) for result in made) == 2
    query = "SELECT count(*) FROM ops.api_key WHERE device_ids = $1 AND state = 'live'"
    assert await owner.fetchval(query, [device]) == 2


async def test_a_rotated_key_goes_on_for_a_while_beside_the_new_one_of_the_same_rights(owner: Owner) -> None:
    device = new_pair().meter
    ends = now() + timedelta(days=30)
    old = await create(owner, scope="device", kind="meter", devices=[device], expires=ends, note="hall 7")
    [new] = await owner.fetch("SELECT * FROM ops.rotate_api_key($1, '2 hours')", old["key_id"])
    rows = await owner.fetch("SELECT * FROM ops.api_key WHERE device_ids = $1", [device])
    by_id = {row["key_id"]: row for row in rows}
    assert {row["state"] for row in rows} == {"live"}
    assert abs(by_id[old["key_id"]]["expires_at"] - now() - timedelta(hours=2)) < timedelta(minutes=1)
    assert abs(by_id[new["key_id"]]["expires_at"] - ends) < timedelta(minutes=1)
    assert {(row["scope"], row["kind"], row["note"]) for row in rows} == {("device", "meter", "hall 7")}
    with pytest.raises(asyncpg.PostgresError, match="two live keys"):
        await owner.fetch("SELECT * FROM ops.rotate_api_key($1)", new["key_id"])


async def test_rotated_at_once_the_old_key_is_over(owner: Owner) -> None:
    old = await create(owner, scope="admin")
    await owner.fetch("SELECT * FROM ops.rotate_api_key($1, '0')", old["key_id"])
    assert await owner.fetchval("SELECT state FROM ops.api_key WHERE key_id = $1", old["key_id"]) == "revoked"
    with pytest.raises(asyncpg.PostgresError, match="there is no live key"):
        await owner.fetch("SELECT * FROM ops.rotate_api_key($1)", old["key_id"])


async def test_a_revoked_key_stays_in_the_list_and_is_revoked_once(owner: Owner) -> None:
    key = await create(owner)
    first = await owner.fetchval("SELECT ops.revoke_api_key($1)", key["key_id"])
    assert await owner.fetchval("SELECT ops.revoke_api_key($1)", key["key_id"]) == first
    assert await owner.fetchval("SELECT state FROM ops.api_key WHERE key_id = $1", key["key_id"]) == "revoked"
    with pytest.raises(asyncpg.PostgresError, match="there is no key ek_nobody"):
        await owner.fetchval("SELECT ops.revoke_api_key('ek_nobody')")


async def test_only_live_keys_are_found_each_in_its_place(owner: Owner) -> None:
    live, revoked, expired = [await create(owner) for _ in range(3)]
    await owner.execute("SELECT ops.revoke_api_key($1)", revoked["key_id"])
    await owner.execute("UPDATE telemetry.api_key SET expires_at = now() WHERE key_id = $1", expired["key_id"])
    asked = ["nobody", revoked["key_id"], live["key_id"], expired["key_id"], live["key_id"], "' OR 1=1 --"]
    rows = await owner.fetch("SELECT * FROM api.get_api_keys($1)", asked)
    assert [row["key_id"] for row in rows] == [None, None, live["key_id"], None, live["key_id"], None]
    assert {row["revision"] for row in rows} == {await owner.fetchval(REVISION)}


@pytest.mark.parametrize(
    "change",
    [
        "SELECT FROM ops.create_api_key('read')",
        "SELECT FROM ops.rotate_api_key($1)",
        "SELECT ops.revoke_api_key($1)",
        "UPDATE telemetry.api_key SET scope = 'admin' WHERE key_id = $1",
        "DELETE FROM telemetry.api_key WHERE key_id = $1",
    ],
)
async def test_every_change_of_a_key_changes_the_revision(owner: Owner, change: str) -> None:
    key = await create(owner)
    before = await owner.fetchval(REVISION)
    await owner.execute(change, *([key["key_id"]] if "$1" in change else []))
    assert await owner.fetchval("SELECT api.get_api_key_revision()") > before


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM telemetry.api_key", "SELECT * FROM ops.create_api_key('admin')", "TABLE ops.api_key"]
)
async def test_the_service_can_neither_list_nor_make_keys(database, statement: str) -> None:
    async with database.write.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
