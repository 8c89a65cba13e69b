"""Whatever a receiver does, a request to it ends: in time, after few bytes, at the address that was given."""

import asyncio
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from service.alerting import post as module
from service.alerting.post import DeliveryError, open_session, post
from tests.support.delivery import receiving
from tests.support.processes import free_port


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(only_public=False) as opened:
        yield opened


async def test_an_answer_of_2xx_is_a_success_and_any_other_a_failure(session: aiohttp.ClientSession) -> None:
    async with receiving() as receiver:
        for status in (200, 202, 204):
            receiver.answer = lambda _, status=status: status
            assert (await post(session, receiver.url, b"{}")).startswith(str(status))
        for status in (304, 400, 404, 410, 429, 500, 503):
            receiver.answer = lambda _, status=status: status
            with pytest.raises(DeliveryError, match=f"answered {status}"):
                await post(session, receiver.url, b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession, status: int) -> None:
    async with receiving() as other, receiving() as receiver:
        receiver.answer = lambda _: web.Response(status=status, headers={"Location": other.url})
        with pytest.raises(DeliveryError, match=f"answered {status}"):
            await post(session, receiver.url, b"{}")
        assert other.received == []


@pytest.mark.parametrize("scheme", ["http", "https", "all"])
async def test_no_proxy_and_no_password_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    async with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine localhost login operator password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with open_session(only_public=False) as session:
            await post(session, receiver.url, b"{}")
        assert proxy.received == []
        assert "authorization" not in receiver.received[0].headers


async def test_a_receiver_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    over = asyncio.Event()
    async with receiving() as receiver, open_session(only_public=False) as hasty:
        receiver.answer = lambda _: over.wait()
        with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
            await post(hasty, receiver.url, b"{}")
        over.set()


async def test_an_endless_answer_is_left_after_its_first_kilobyte(session: aiohttp.ClientSession) -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        finally:
            left.set()

    async with receiving() as receiver:
        receiver.answer = endless
        answer = await post(session, receiver.url, b"{}")
        assert (answer[:7], len(answer)) == ("200 xxx", 200)
        await asyncio.wait_for(left.wait(), 5)


async def test_a_compressed_bomb_is_not_unpacked(session: aiohttp.ClientSession) -> None:
    async with receiving() as receiver:
        bomb = gzip.compress(b"x" * 10_000_000)
        receiver.answer = lambda _: web.Response(status=200, body=bomb, headers={"Content-Encoding": "gzip"})
        assert "xxx" not in await post(session, receiver.url, b"{}")


async def test_a_receiver_that_is_away_is_named_without_the_url_which_may_have_a_token(
    session: aiohttp.ClientSession,
) -> None:
    with pytest.raises(DeliveryError) as failed:
        await post(session, f"http://127.0.0.1:{free_port()}/token-of-a-chat", b"{}")
    assert str(failed.value) == "cannot connect: Connection refused"


@pytest.mark.parametrize("url", ["http://host:99999/", "http://a..b/", "http://" + "a" * 300 + "/", "http://[::1"])
async def test_a_url_that_is_none_is_an_error_like_any_other(session: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(DeliveryError):
        await post(session, url, b"{}")


async def test_a_certificate_that_nobody_vouches_for_is_refused(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    made = ("-keyout", tmp_path / "key", "-out", tmp_path / "cert")
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    command = ["openssl", "req", *options, *made]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    async with receiving(ssl_context=context) as receiver:
        with pytest.raises(DeliveryError, match=r"cannot connect: .*certificate"):
            await post(session, receiver.url, b"{}")
        assert receiver.received == []
