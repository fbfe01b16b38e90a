"""XSession over TLS: whom it trusts, and that a request under way can be ended there too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests.adapters

from tests.adapters.certificates import self_signed
from tests.adapters.stub_x import Received, StubX
from tests.adapters.x_posts import post_until_received
from tests.fakes import conversion
from xcapi_core.adapters.x_session import XSession
from xcapi_core.x_api.credentials import OAuth1Keys, PixelToken
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure, build_request

KEYS = OAuth1Keys(consumer_key="ck", consumer_secret="cs", access_token="at", access_token_secret="ats")
TOKEN = PixelToken(pixel_token="a-pixel-token")
PATIENCE_S = 60.0


def request_to(url: str) -> HttpRequest:
    return build_request(api_base_url=url, api_version="12", pixel_id="o8z6j", conversions=[conversion("c1")])


def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put our certificate in the place of the public authorities'; what checks it stays the real thing."""
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate))


@pytest.fixture
async def session() -> AsyncIterator[XSession]:
    running = XSession(max_in_flight=4)
    yield running
    running.abort()


async def test_certificate_of_a_trusted_authority_is_accepted(
    session: XSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    trust(certificate, monkeypatch)
    async with StubX(tls=context) as x:
        for _ in range(2):
            assert isinstance(await session.post(request_to(x.url), TOKEN, PATIENCE_S), HttpResponse)
    assert x.received[0].headers["x-pixel-token"] == TOKEN.pixel_token
    assert x.connections == 1, "one handshake serves many requests"


async def test_self_signed_certificate_is_refused_before_anything_is_sent(session: XSession, tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    async with StubX(tls=context) as x:
        for credentials in (KEYS, TOKEN):
            answer = await session.post(request_to(x.url), credentials, PATIENCE_S)
            assert answer == TransportFailure("connection")
    assert x.received == []


async def test_certificate_of_another_host_is_refused(
    session: XSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path, host="elsewhere.example")
    trust(certificate, monkeypatch)
    async with StubX(tls=context) as x:
        assert await session.post(request_to(x.url), KEYS, PATIENCE_S) == TransportFailure("connection")
    assert x.received == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_authorities_named_by_the_environment_are_not_trusted(
    session: XSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    context, certificate = self_signed(tmp_path)
    monkeypatch.setenv(name, str(certificate))
    async with StubX(tls=context) as x:
        assert await session.post(request_to(x.url), KEYS, PATIENCE_S) == TransportFailure("connection")
    assert x.received == []


async def silence(_received: Received, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(_received: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_request_ends_at_its_limit_over_tls_too(
    session: XSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    trust(certificate, monkeypatch)
    async with StubX(drip, tls=context) as x:
        assert await post_until_received(session, x) == TransportFailure("timeout")
        await asyncio.wait_for(x.deserted.wait(), PATIENCE_S)


async def test_abort_ends_requests_under_way_over_tls_too(
    session: XSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    trust(certificate, monkeypatch)
    async with StubX(silence, tls=context) as x:
        posts = [asyncio.create_task(session.post(request_to(x.url), KEYS, PATIENCE_S)) for _ in range(3)]
        await x.has_received(3)
        session.abort()
        assert set(await asyncio.gather(*posts)) == {TransportFailure("timeout")}
        await asyncio.wait_for(x.deserted.wait(), PATIENCE_S)
