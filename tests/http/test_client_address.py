"""Behind a trusted proxy the client's address is that of X-Forwarded-For; from elsewhere the header does nothing."""

from typing import Any

import pytest

from service.database.pool import Database
from service.errors import StartupError
from service.http.client_address import TrustedProxies
from service.settings import Settings, load_settings
from tests.support import Api, Owner, Pair, assert_problem, meter_reading, served, vehicle_reading

LOOPBACK = Settings(trusted_proxies=("127.0.0.0/8",))
FORWARDED = "X-Forwarded-For"


def address_of(peer: str, *headers: str, networks: str = "10.0.0.0/8, 192.168.7.1, fd00::/8") -> str:
    """The client's address of a request from `peer` with these values of X-Forwarded-For."""
    trusted = load_settings({"ENERGY_TRUSTED_PROXIES": networks}).trusted_proxies
    scope: Any = {
        "client": (peer, 5),
        "headers": [(b"host", b"x"), *((b"x-forwarded-for", value.encode("latin-1")) for value in headers)],
    }
    TrustedProxies(trusted).correct(scope)
    return scope["client"][0]


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # no proxy: whatever it says
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("192.168.7.1", ("198.51.100.1",), "198.51.100.1"),
        ("192.168.7.2", ("198.51.100.1",), "192.168.7.2"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),  # the client forged the left one
        ("10.0.0.1", ("10.9.9.9, 198.51.100.1",), "198.51.100.1"),  # also as a proxy's
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),  # a proxy that adds a header of its own
        ("10.0.0.1", ("198.51.100.1, 10.0.0.7",), "198.51.100.1"),  # two proxies
        ("10.0.0.1", ("10.0.0.8,10.0.0.7",), "10.0.0.8"),  # a client among the proxies
        ("10.0.0.1", ("198.51.100.1, unknown, 10.0.0.7",), "10.0.0.7"),  # nobody knows who is before it
        ("10.0.0.1", ("unknown",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("x" * 5000,), "10.0.0.1"),
        ("10.0.0.1", ("fe80::1%anything",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:1234",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:DB8::1]:443",), "2001:db8::1"),
        ("10.0.0.1", ("2001:db8::1",), "2001:db8::1"),
        ("fd00::5", ("198.51.100.1",), "198.51.100.1"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),  # IPv4 on a socket of IPv6
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str, headers: tuple[str, ...], expected: str
) -> None:
    assert address_of(peer, *headers) == expected


@pytest.mark.parametrize("text", ["proxy", "*", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0-10.0.0.9"])
def test_a_network_that_is_none_or_everybody_is_refused_by_name(text: str) -> None:
    with pytest.raises(StartupError, match="ENERGY_TRUSTED_PROXIES") as raised:
        load_settings({"ENERGY_TRUSTED_PROXIES": f"10.0.0.1, {text}"})
    assert text in str(raised.value)


async def test_clients_behind_a_trusted_proxy_have_a_rate_each(database: Database) -> None:
    settings = Settings(address_rate=1, trusted_proxies=LOOPBACK.trusted_proxies)
    async with served(database, settings) as api:

        async def ask(client: str) -> Any:
            return await api.http.get("/v1/nothing", headers={FORWARDED: client})

        answers = [await ask(f"forged-{number}, 198.51.100.1") for number in range(4)]
        assert_problem(answers[-1], 429, "too_many_requests", "ENERGY_ADDRESS_RATE")
        assert (await ask("198.51.100.2")).status_code == 404


async def test_a_client_that_is_no_proxy_gets_no_other_rate_by_a_header(database: Database) -> None:
    settings = Settings(address_rate=1, trusted_proxies=("10.0.0.0/8",))
    async with served(database, settings) as api:
        answers = [await api.http.get("/v1/nothing", headers={FORWARDED: f"10.0.0.{number}"}) for number in range(4)]
        assert_problem(answers[-1], 429, "too_many_requests", "ENERGY_ADDRESS_RATE")


async def source_of_rejected(api: Api, owner: Owner, path: str, body: Any) -> str:
    """The address that is kept with a rejected reading."""
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    answer = await api.http.post(path, json=body, headers={FORWARDED: "1.1.1.1, 198.51.100.1"})
    assert answer.status_code == 422
    [row] = await owner.fetch("SELECT source FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    return row["source"]


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_rejected_reading_has_the_clients_address(
    database: Database, owner: Owner, pair: Pair, kind: str, batch: bool
) -> None:
    if kind == "meter":
        refused_by_sql, refused_before = (
            meter_reading(pair.meter, kwhConsumedAc=-1),
            {"meterId": pair.meter, "voltage": "x"},
        )
    else:
        refused_by_sql, refused_before = (
            vehicle_reading(pair.vehicle, kwhDeliveredDc=-1),
            {"vehicleId": pair.vehicle, "soc": "x"},
        )
    path = f"/v1/ingest/{kind}/batch" if batch else f"/v1/ingest/{kind}"
    async with served(database, LOOPBACK) as api, served(database, Settings()) as plain:
        for body in (refused_by_sql, refused_before):
            sent = [body] if batch else body
            assert await source_of_rejected(api, owner, path, sent) == "198.51.100.1"
            assert await source_of_rejected(plain, owner, path, sent) == "127.0.0.1"
