"""XSession over real sockets: what it signs and sends, what it never does, and how it uses connections."""

import asyncio
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.adapters.stub_x import Received, StubX, answer_ok, http_answer, writing
from tests.adapters.x_posts import KEYS, PATIENCE_S, PUBLISHED, TOKEN, VECTORS, answer_to, post, request_to
from xcapi_core.adapters.signing import may_carry_token, signer_of
from xcapi_core.adapters.x_session import XSession
from xcapi_core.sandbox.config import KeyRing, OAuthKeys
from xcapi_core.sandbox.signatures import Authentication, NonceStore, authenticate
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import (
    HttpResponse,
    TransportFailure,
)

KEYS_AT_X = OAuthKeys(
    consumer_key=KEYS.consumer_key,
    consumer_secret=KEYS.consumer_secret,
    access_token=KEYS.access_token,
    access_token_secret=KEYS.access_token_secret,
)


# --- what goes out ---


async def test_request_is_a_post_of_exactly_the_bytes_that_were_built(session: XSession) -> None:
    async with StubX() as x:
        request = request_to(x.url, "c1", "c2")
        answer = await session.post(request, KEYS, PATIENCE_S)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 200
    (received,) = x.received
    assert received.line == "POST /12/measurement/conversions/o8z6j HTTP/1.1"
    assert received.body == request.body
    assert received.headers["content-type"] == "application/json"


async def test_signature_is_accepted_by_oauthlib_s_server_side(session: XSession) -> None:
    async with StubX() as x:
        await post(session, x.url)
    (received,) = x.received
    found = authenticate(
        url=f"{x.url}/12/measurement/conversions/o8z6j",
        method="POST",
        headers=received.headers,
        pixel_id="o8z6j",
        keys=KeyRing(oauth=(KEYS_AT_X,)),
        nonces=NonceStore(),
        now=time.time(),
    )
    assert found == Authentication(kind="oauth1", keys=KEYS_AT_X)
    assert "x-pixel-token" not in received.headers


@pytest.mark.parametrize("name", list(VECTORS))
def test_keys_sign_the_published_vectors(name: str) -> None:
    auth = signer_of(KEYS)
    auth.client.nonce, auth.client.timestamp = PUBLISHED["nonce"], PUBLISHED["timestamp"]  # type: ignore[attr-defined]  # requests-oauthlib's, untyped
    vector = VECTORS[name]
    if "form_body" in vector:
        prepared = requests.Request("POST", vector["url"], data=vector["form_body"], auth=auth).prepare()
    else:
        ours = request_to("https://ads-api.x.com")
        assert ours.url == vector["url"]
        prepared = requests.Request("POST", ours.url, headers=ours.headers, data=ours.body, auth=auth).prepare()
        assert prepared.body == ours.body
    # oauthlib makes it bytes where the stubs say text.
    authorization = str(prepared.headers["Authorization"])
    assert f'oauth_signature="{quote(vector["signature"], safe="")}"' in authorization
    assert "oauth_body_hash" not in authorization


async def test_neither_the_json_body_nor_a_hash_of_it_is_signed(session: XSession) -> None:
    async with StubX() as x:
        await post(session, x.url)
    signed = {pair.strip().partition("=")[0] for pair in x.received[0].headers["authorization"][6:].split(",")}
    names = ("consumer_key", "nonce", "signature", "signature_method", "timestamp", "token", "version")
    assert signed == {f"oauth_{name}" for name in names}


async def test_every_request_has_a_nonce_of_its_own(session: XSession) -> None:
    async with StubX() as x:
        await asyncio.gather(*(post(session, x.url) for _ in range(5)))
    assert len({received.headers["authorization"] for received in x.received}) == 5


async def test_pixel_token_travels_in_its_header_and_nothing_is_signed(session: XSession) -> None:
    async with StubX() as x:
        await post(session, x.url, TOKEN)
    (received,) = x.received
    assert received.headers["x-pixel-token"] == TOKEN.pixel_token
    assert "authorization" not in received.headers


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://ads-api.x.com/12", True),
        ("http://127.0.0.1:8080/12", True),
        ("http://127.8.9.10/12", True),
        ("http://[::1]:8080/12", True),
        ("http://localhost:8080/12", True),
        ("http://ads-api.x.com/12", False),
        ("http://10.0.0.1/12", False),
        ("http://0.0.0.0/12", False),
        ("http://[::]/12", False),
        ("http://localhost.example/12", False),
        ("http://127.0.0.1.example/12", False),
        ("http://127.0.0.1@x.example/12", False),
        ("http://localhost:80@x.example/12", False),
        ("http:///12", False),
    ],
)
def test_token_is_shown_to_https_and_to_loopback_alone(url: str, may: bool) -> None:  # noqa: FBT001 - a table's column
    assert may_carry_token(url) is may


async def test_token_is_refused_over_plain_http_without_a_connection(session: XSession) -> None:
    async with StubX() as x:
        # 127.0.0.1 by another name: a connection would succeed.
        answer = await post(session, x.url.replace("127.0.0.1", "0.0.0.0"), TOKEN)
        assert answer == TransportFailure("insecure")
        assert x.connections == 0


# --- what it never does ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("credentials", [KEYS, TOKEN], ids=["oauth", "token"])
async def test_redirect_is_not_followed(session: XSession, status: int, credentials: Credentials) -> None:
    async with (
        StubX() as elsewhere,
        StubX(writing(http_answer(status, b"moved", location=f"{elsewhere.url}/elsewhere"))) as x,
    ):
        answer = await post(session, x.url, credentials)
        assert isinstance(answer, HttpResponse)
        assert (answer.status, answer.body) == (status, b"moved")
        assert (len(x.received), elsewhere.connections) == (1, 0)


async def test_redirect_that_leads_nowhere_is_an_answer_like_any_other(session: XSession) -> None:
    answer = await answer_to(writing(http_answer(302, b"", location="http://[")), session)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 302


async def test_cookies_are_not_kept(session: XSession) -> None:
    async with StubX(writing(http_answer(200, b"{}", set_cookie="guest=1; Path=/"))) as x:
        await post(session, x.url)
        await post(session, x.url)
    assert all("cookie" not in received.headers for received in x.received)


@pytest.mark.parametrize("credentials", [KEYS, TOKEN], ids=["oauth", "token"])
async def test_netrc_is_not_read(
    session: XSession, credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    async with StubX() as x:
        await post(session, x.url, credentials)
        # Without our care, requests does read it: the test's own control.
        await asyncio.to_thread(requests.post, x.url, json={"conversions": []}, timeout=PATIENCE_S)
    ours, theirs = x.received
    assert "Basic" not in ours.headers.get("authorization", "")
    assert theirs.headers["authorization"].startswith("Basic")


async def test_proxy_of_the_environment_is_not_used(session: XSession, monkeypatch: pytest.MonkeyPatch) -> None:
    async with StubX() as x, StubX() as proxy:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await post(session, x.url)
        assert (len(x.received), proxy.connections) == (1, 0)
        # The control: requests by itself goes there.
        await asyncio.to_thread(requests.post, x.url, json={"conversions": []}, timeout=PATIENCE_S)
        assert (len(x.received), proxy.connections) == (1, 1)


# --- connections ---


async def test_requests_share_a_connection(session: XSession) -> None:
    async with StubX() as x:
        for _ in range(3):
            assert isinstance(await post(session, x.url), HttpResponse)
    assert (len(x.received), x.connections) == (3, 1)


async def test_connection_that_the_server_closed_meanwhile_is_replaced(session: XSession) -> None:
    async def once(received: Received, writer: asyncio.StreamWriter) -> None:
        await answer_ok(received, writer)
        await writer.drain()
        writer.close()

    async with StubX(once) as x:
        for _ in range(3):
            assert isinstance(await post(session, x.url), HttpResponse)
            await asyncio.sleep(0.02)  # the goodbye arrives
    assert x.connections == 3


async def test_eight_requests_at_once_keep_their_answers_apart(session: XSession) -> None:
    all_there = asyncio.Barrier(8)

    async def echo(received: Received, writer: asyncio.StreamWriter) -> None:
        await all_there.wait()
        writer.write(http_answer(200, received.body))

    async with StubX(echo) as x:
        for _ in range(3):
            requests_out = [request_to(x.url, f"c{number}") for number in range(8)]
            answers = await asyncio.gather(*(session.post(request, KEYS, PATIENCE_S) for request in requests_out))
            bodies = [answer.body for answer in answers if isinstance(answer, HttpResponse)]
            assert bodies == [request.body for request in requests_out]
    assert x.connections == 8
