"""X on its worst days, down to the socket: every answer has its status, and nothing hangs."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.nasty_x import Behaviour, NastyX, Received, answer
from tests.e2e.push import event, push, push_all
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

# Of the function that X keeps waiting until then.
REQUEST_TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class Misery:
    """The function, and the X it has."""

    stack: Stack
    x: NastyX

    @property
    def url(self) -> str:
        return self.stack.url


@pytest.fixture(scope="module")
def whole(function_venv: FunctionVenv) -> Iterator[Misery]:
    with NastyX() as x, running(function_venv, x_url=x.url) as stack:
        yield Misery(stack, x)


@pytest.fixture(scope="module")
def whole_hasty(function_venv: FunctionVenv) -> Iterator[Misery]:
    with (
        NastyX() as x,
        running(function_venv, x_url=x.url, request_timeout_s=REQUEST_TIMEOUT_S, settle_timeout_s=12) as stack,
    ):
        yield Misery(stack, x)


@pytest.fixture
def misery(whole: Misery) -> Iterator[Misery]:
    yield from _anew(whole)


@pytest.fixture
def hasty(whole_hasty: Misery) -> Iterator[Misery]:
    yield from _anew(whole_hasty)


def _anew(whole: Misery) -> Iterator[Misery]:
    whole.stack.start_over()
    whole.x.start_over()
    lines = len(whole.stack.function.lines)
    yield whole
    assert not [line for line in whole.stack.function.lines[lines:] if "crashed" in line or "Traceback" in line]


def _says(*parts: bytes, close: bool = False) -> Behaviour:
    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return behave


def _ok(processed: object, **more: object) -> bytes:
    return answer(200, json.dumps({"data": {"conversions_processed": processed, **more}}).encode())


_HTML = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"

# name: what X says, the delivery's status, and its reason
NOT_NOW: dict[str, tuple[Behaviour, int, str]] = {
    "503 in HTML": (_says(answer(503, _HTML, content_type="text/html")), 503, "x_unavailable"),
    "500 without a body": (_says(answer(500, b"")), 503, "x_unavailable"),
    "599": (_says(answer(599, b"{}")), 503, "x_unavailable"),
    "408": (_says(answer(408, b"{}")), 503, "x_unavailable"),
    "423": (_says(answer(423, b"{}")), 503, "x_unavailable"),
    "200 in HTML": (_says(answer(200, _HTML, content_type="text/html")), 503, "not_from_x"),
    "200 without a body": (_says(answer(200, b"")), 503, "not_from_x"),
    "204": (_says(b"HTTP/1.1 204 No Content\r\n\r\n"), 503, "not_from_x"),
    "200 of other JSON": (_says(answer(200, b'{"ok": true}')), 503, "not_from_x"),
    "200 of nested JSON": (_says(answer(200, b"[" * 100_000 + b"]" * 100_000)), 503, "not_from_x"),
    "200 cut off": (
        _says(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"data": {"conv', close=True),
        503,
        "not_from_x",
    ),
    "200 in broken gzip": (_says(answer(200, b"\x1f\x8bnonsense", content_encoding="gzip")), 503, "not_from_x"),
    "a wrong chunk size": (
        _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", close=True),
        503,
        "not_from_x",
    ),
    "301": (_says(answer(301, b"", location="https://example.com/")), 503, "not_from_x"),
    "304": (_says(b"HTTP/1.1 304 Not Modified\r\n\r\n"), 503, "not_from_x"),
    "closed without a word": (_says(close=True), 503, "x_unreachable"),
    "413 for a small one": (_says(answer(413, b"")), 503, "too_large_for_a_proxy"),
    "no HTTP": (_says(b"SSH-2.0-OpenSSH_9.2\r\n", close=True), 503, "x_unreachable"),
    "HTTP of another kind": (_says(b"HTTP/9.9 abc def\r\n\r\n", close=True), 503, "x_unreachable"),
    "a header without an end": (_says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, close=True), 503, "x_unreachable"),
    "a thousand headers": (
        _says(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 1000 + b"\r\n", close=True),
        503,
        "x_unreachable",
    ),
    "two content lengths": (
        _says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", close=True),
        503,
        "x_unreachable",
    ),
}


@pytest.mark.parametrize("name", NOT_NOW)
async def test_what_is_no_verdict_is_a_nack(misery: Misery, name: str) -> None:
    misery.x.behave, status, reason = NOT_NOW[name]
    one = await push(misery.url, event())
    assert (one.status, one.reason) == (status, reason)
    # A kept connection that closes without a byte gets one fresh try.
    assert len(misery.x.received) <= (2 if name == "closed without a word" else 1)
    assert misery.stack.dead_letters() == []


UNCONFIRMED = {
    "too few": _ok(0),
    "too many": _ok(2),
    "below zero": _ok(-1),
    "with an odd id": _ok(5, debug_id={"a": [1]}),
    "no count": answer(200, b'{"data": {"debug_id": "d"}}'),
    "errors": answer(200, b'{"errors": [{"message": "no"}]}'),
}


@pytest.mark.parametrize("name", UNCONFIRMED)
async def test_200_with_another_count_is_unconfirmed(misery: Misery, name: str) -> None:
    misery.x.behave = _says(UNCONFIRMED[name])
    lines = len(misery.stack.function.lines)
    assert (await push(misery.url, event())).status == 204
    (dead_letter,) = misery.stack.dead_letters(1)
    assert dead_letter.attributes["xcapi_reason"] == "unconfirmed"
    assert dead_letter.attributes["xcapi_http_status"] == "200"
    assert [entry["severity"] for entry in misery.stack.events_logged("batch.unconfirmed", lines)] == ["ERROR"]
    assert len(misery.x.received) == 1


@pytest.mark.parametrize("debug_id", [None, 5, ["x"], "someone@example.com"])
async def test_200_with_the_count_is_a_success_whatever_else_it_says(misery: Misery, debug_id: object) -> None:
    misery.x.behave = _says(_ok(1, debug_id=debug_id, more={"x": 1}))
    assert (await push(misery.url, event())).status == 204
    assert misery.stack.dead_letters() == []


REFUSED: dict[str, tuple[Behaviour, str, str]] = {
    "400 in HTML": (_says(answer(400, _HTML, content_type="text/html")), "rejected", "400"),
    "400 without a body": (_says(answer(400, b"")), "rejected", "400"),
    "400 cut off": (
        _says(b'HTTP/1.1 400 Bad\r\nContent-Length: 900\r\n\r\n{"errors": [{"code": "INV', close=True),
        "rejected",
        "400",
    ),
    "400 of other JSON": (_says(answer(400, b'{"errors": {"a": 1}}')), "rejected", "400"),
    "400 of odd errors": (
        _says(answer(400, b'{"errors": [null, 1, "x", [], {"code": 5, "message": ["m"], "parameter": null}]}')),
        "rejected",
        "400",
    ),
    "404": (_says(answer(404, _HTML, content_type="text/html")), "rejected", "404"),
    "410": (_says(answer(410, b"")), "rejected", "410"),
    "451": (_says(answer(451, b"")), "rejected", "451"),
    "401": (_says(answer(401, b"")), "unauthorized", "401"),
    "403": (_says(answer(403, _HTML, content_type="text/html")), "unauthorized", "403"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_4xx_is_a_dead_letter_however_it_is_written(misery: Misery, name: str) -> None:
    misery.x.behave, reason, status = REFUSED[name]
    one = await push(misery.url, event())
    assert one.status == 204
    (dead_letter,) = misery.stack.dead_letters(1)
    assert (dead_letter.attributes["xcapi_reason"], dead_letter.attributes["xcapi_http_status"]) == (reason, status)
    assert len(misery.x.received) <= 2


def _drips(parts: bytes, pause_s: float) -> Behaviour:
    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        for value in parts:
            writer.write(bytes([value]))
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


async def _silent(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(300)


async def _endless_body(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 1000)
        await writer.drain()
        await asyncio.sleep(0.05)


async def _endless_headers(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(60):
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.1)


async def _endless_interim(_: Received, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


SLOW: dict[str, Behaviour] = {
    "no answer": _silent,
    "a byte of the head at a time": _drips(_ok(1), 0.2),
    "a byte of the body at a time": _drips(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b" " * 90, 0.1),
    "headers without end": _endless_headers,
    "interim answers without end": _endless_interim,
    "a slow body without end": _endless_body,
}


@pytest.mark.parametrize("name", SLOW)
async def test_the_limit_holds_for_the_whole_request(hasty: Misery, name: str) -> None:
    hasty.x.behave = SLOW[name]
    one = await push(hasty.url, event())
    assert (one.status, one.reason) == (503, "x_timeout")
    assert one.seconds > REQUEST_TIMEOUT_S - 0.1
    # The thread and the connection are free again.
    hasty.x.start_over()
    assert (await push(hasty.url, event())).status == 204


def _floods(head: bytes, chunk: bytes) -> Behaviour:
    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return behave


def _bomb(head: bytes) -> Behaviour:
    zeros = gzip.compress(b" " * (50 << 20), 9)
    return _floods(
        head + b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n",
        b"%x\r\n" % len(zeros) + zeros + b"\r\n",
    )


def _twice() -> bytes:
    return gzip.compress(gzip.compress(b" " * (200 << 20), 9), 9)


# Made when they are wanted: compressing such amounts takes seconds, and each process that collects tests would.
FLOODS: dict[str, Callable[[], Behaviour]] = {
    "200 without end": lambda: _floods(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
    "400 without end": lambda: _floods(b"HTTP/1.1 400 Bad\r\n\r\n", b"[" * 65536),
    "chunks without end": lambda: _floods(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000
    ),
    "redirect without end": lambda: _floods(b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:9/\r\n\r\n", b"x" * 65536),
    "gzip bomb": lambda: _bomb(b"HTTP/1.1 200 OK\r\n"),
    "gzip bomb, redirected": lambda: _bomb(b"HTTP/1.1 302 F\r\nLocation: /x\r\n"),
    "gzip in gzip": lambda: _says(answer(200, _twice(), content_encoding="gzip, gzip")),
    "deflate bomb": lambda: _says(answer(200, zlib.compress(b" " * (200 << 20), 9), content_encoding="deflate")),
    "interim answers": lambda: _floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_end_and_take_no_memory(hasty: Misery, name: str) -> None:
    hasty.x.behave = FLOODS[name]()
    answers = await push_all(hasty.url, [event() for _ in range(4)])
    assert {one.status for one in answers} <= {204, 503}
    assert {one.status for one in answers} == ({204} if name.startswith("400") else {503})
    assert _peak_memory_mb(hasty.stack.function.pid) < 300
    hasty.x.start_over()
    assert (await push(hasty.url, event())).status == 204


def _peak_memory_mb(arbiter: int) -> float:
    """Return the largest peak (VmHWM) of the worker."""
    children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
    peaks = []
    for pid in children:
        status = Path(f"/proc/{pid}/status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return max(peaks)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_with_a_signature_or_without(misery: Misery, status: int) -> None:
    with NastyX() as elsewhere:
        for pixel in ("o8z6j", "p9q7k"):
            misery.x.behave = _says(answer(status, b"", location=f"{elsewhere.url}/12/measurement/conversions/{pixel}"))
            one = await push(misery.url, event(event_id=None, event="purchase", pixel_id=pixel))
            assert (one.status, one.reason) == (503, "not_from_x")
        assert elsewhere.received == []


@pytest.mark.parametrize("location", ["http://[", "//", "http://\xff.example/", "?", "javascript:0", "http://a:b:c"])
async def test_odd_redirects_are_no_crash(misery: Misery, location: str) -> None:
    misery.x.behave = _says(
        f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    )
    assert (await push(misery.url, event())).status == 503


async def test_cookies_are_not_kept(misery: Misery) -> None:
    misery.x.behave = _says(answer(503, b"", set_cookie="guest_id=v1; Path=/"))
    await push(misery.url, event())
    await push(misery.url, event())
    assert all("cookie" not in request.headers for request in misery.x.received)


async def test_the_request_is_xs(misery: Misery) -> None:
    one = event(value="20", currency="usd", contents=[{"content_id": "sku-1", "content_price": 20, "num_items": 1}])
    assert (await push(misery.url, one)).status == 204
    assert (await push(misery.url, event(event_id=None, event="sign up", pixel_id="p9q7k"))).status == 204
    oauth, token = misery.x.received
    assert (oauth.method, oauth.path) == ("POST", "/12/measurement/conversions/o8z6j")
    assert oauth.headers["content-type"] == "application/json"
    assert oauth.headers["authorization"].startswith("OAuth ")
    assert "oauth_body_hash" not in oauth.headers["authorization"]
    assert 'oauth_signature_method="HMAC-SHA1"' in oauth.headers["authorization"]
    assert "x-pixel-token" not in oauth.headers
    assert oauth.conversions == [
        {
            "conversion_time": "2026-04-20T12:34:56.000Z",
            "event_id": "tw-o8z6j-o8z21",
            "identifiers": [{"hashed_email": "e788ea2014693dcdb86767aceb3860a432fc626c6477a6c53016aff40726842b"}],
            "conversion_id": one["conversion_id"],
            "value": "20.00",
            "price_currency": "USD",
            "number_items": 1,
            "contents": [{"content_id": "sku-1", "content_price": "20.00", "num_items": 1}],
        }
    ]
    assert token.path == "/12/measurement/conversions/p9q7k"
    assert token.headers["x-pixel-token"] == "sandbox-pixel-token-p9q7k-not-a-real-token"
    assert "authorization" not in token.headers


async def test_words_of_x_that_would_take_hours_to_search_take_none(misery: Misery) -> None:
    """A megabyte of openings without a close: finding blamed values must not stop the process."""
    words = ("value (" * 140_000, 'got "' * 200_000, "event_id (x) " * 70_000, "email (((((" * 90_000)
    for text in words:
        misery.x.behave = _says(answer(400, json.dumps({"errors": [{"message": text}]}).encode()))
        one = await push(misery.url, [event() for _ in range(4)])
        assert one.status == 204
        assert len(misery.stack.dead_letters(4)) == 4


async def test_a_thousand_errors_name_each_its_own(misery: Misery) -> None:
    """The longest answer that X can give: one error a conversion."""

    async def names_all(request: Received, writer: asyncio.StreamWriter) -> None:
        errors = [
            {"code": "INVALID_PARAMETER", "message": f"conversion_id ({one['conversion_id']}) is not valid"}
            for one in request.conversions
        ]
        writer.write(answer(400, json.dumps({"errors": errors}).encode()))

    misery.x.behave = names_all
    one = await push(misery.url, [event() for _ in range(500)])
    assert one.status == 204
    assert len(misery.stack.dead_letters(500)) == 500
    assert len(misery.x.received) == 1
