"""XSession and servers that misbehave: nothing outlives its limit, nothing is read without end, all can be ended."""

import asyncio
import gzip
import itertools
import json
import math
import socket
import struct

import pytest
import requests

from tests.adapters.stub_x import Answer, Received, StubX, for_ever, http_answer, silence, writing
from tests.adapters.x_posts import KEYS, LIMIT_S, PATIENCE_S, answer_to, post, post_until_received, request_to
from xcapi_core.adapters.abortable import Attempt, attempting
from xcapi_core.adapters.x_session import XSession
from xcapi_core.x_api.protocol import (
    MAX_RESPONSE_BYTES,
    HttpResponse,
    TransportFailure,
)

# Of a session for eight requests at once: as many, and 16 to spare.
THREADS = 24
# What one chunk of reading may add to the limit.
CHUNK_BYTES = 16_384


# --- one limit for all of a request ---


@pytest.mark.parametrize(
    "answer",
    [
        silence,
        for_ever(b"", b"H", 0.1),
        for_ever(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", 0.1),
        for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.1),
        for_ever(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x", 0.1),
        for_ever(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.1),
        for_ever(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100000\r\n\r\n", b"x", 0.1),
        for_ever(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 100000\r\n\r\n", b"x", 0.1),
        for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    ],
    ids=["silence", "status line", "headers", "body", "known length", "chunks", "400", "redirect", "100 Continue"],
)
async def test_request_ends_at_its_limit_however_the_answer_drips(session: XSession, answer: Answer) -> None:
    async with StubX(answer) as x:
        assert await post_until_received(session, x) == TransportFailure("timeout")
        # Not only given up: the connection is closed, and with it the thread that read from it is free again.
        await asyncio.wait_for(x.deserted.wait(), PATIENCE_S)


async def test_server_that_takes_the_connection_and_never_speaks_tls_ends_at_the_limit(session: XSession) -> None:
    async with StubX() as x:
        url = x.url.replace("http://127.0.0.1", "https://127.0.0.1")
        assert await post(session, url, timeout_s=LIMIT_S) == TransportFailure("timeout")


async def test_threads_are_free_again_after_requests_that_hung(session: XSession) -> None:
    async with StubX(silence) as hanging, StubX() as x:
        answers = await asyncio.gather(*(post(session, hanging.url, timeout_s=LIMIT_S) for _ in range(40)))
        assert set(answers) == {TransportFailure("timeout")}
        assert isinstance(await post(session, x.url), HttpResponse)


async def test_request_that_waits_for_a_thread_for_too_long_is_given_up_before_it_is_sent(session: XSession) -> None:
    all_busy = asyncio.Barrier(THREADS + 1)

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        await all_busy.wait()
        await silence(received, writer)

    async with StubX(hang) as hanging, StubX() as x:
        first = [asyncio.create_task(post(session, hanging.url, timeout_s=60)) for _ in range(THREADS)]
        await all_busy.wait()
        assert await post(session, x.url, timeout_s=LIMIT_S) == TransportFailure("timeout")
        session.abort()
        assert set(await asyncio.gather(*first)) == {TransportFailure("timeout")}
        assert isinstance(await post(session, x.url), HttpResponse)
        assert len(x.received) == 1


# --- how much is read ---


@pytest.mark.parametrize(
    "opening",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\n\r\n",
    ],
    ids=["no length", "a terabyte", "redirect", "500"],
)
async def test_endless_body_is_cut(session: XSession, opening: bytes) -> None:
    async with StubX(for_ever(opening, b"x" * 65_536, 0)) as x:
        answer = await post(session, x.url)
        await asyncio.wait_for(x.deserted.wait(), PATIENCE_S)
    assert isinstance(answer, HttpResponse)
    assert MAX_RESPONSE_BYTES < len(answer.body) <= MAX_RESPONSE_BYTES + CHUNK_BYTES


async def test_body_that_unpacks_to_much_is_cut(session: XSession) -> None:
    packed = gzip.compress(bytes(64 * MAX_RESPONSE_BYTES))
    answer = await answer_to(writing(http_answer(200, packed, content_encoding="gzip")), session)
    assert isinstance(answer, HttpResponse)
    assert MAX_RESPONSE_BYTES < len(answer.body) <= MAX_RESPONSE_BYTES + CHUNK_BYTES


async def test_packed_answer_is_unpacked(session: XSession) -> None:
    answer = await answer_to(writing(http_answer(200, gzip.compress(b"{}"), content_encoding="gzip")), session)
    assert isinstance(answer, HttpResponse)
    assert answer.body == b"{}"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 1000\r\n\r\nhalf an ans",
        b"HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhalf an ans\r\n",
        b"HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\nno chunk",
        b"HTTP/1.1 400 Bad Request\r\ncontent-encoding: gzip\r\n\r\nno gzip",
    ],
    ids=["length", "chunks", "no chunk", "no gzip"],
)
async def test_status_counts_although_the_body_breaks_off(session: XSession, raw: bytes) -> None:
    answer = await answer_to(writing(raw, then_close=True), session)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 400
    assert answer.body in {b"", b"half an ans"}


async def test_header_names_arrive_in_lower_case(session: XSession) -> None:
    raw = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nX-Account-Rate-Limit-Reset: 8\r\nContent-Length: 0\r\n\r\n"
    answer = await answer_to(writing(raw), session)
    assert isinstance(answer, HttpResponse)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-account-rate-limit-reset"] == "8"


# --- no answer ---


async def reset(_received: Received, writer: asyncio.StreamWriter) -> None:
    connected: socket.socket = writer.get_extra_info("socket")
    # Linger for no time at all: the kernel sends a reset in place of a goodbye.
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        reset,
        writing(b"", then_close=True),
        writing(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", then_close=True),
        writing(b"HTTP/1.1 99999 What\r\n\r\n", then_close=True),
        writing(b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello", then_close=True),
        writing(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n", then_close=True),
        writing(b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000 + b"\r\n\r\n", then_close=True),
        writing(bytes(range(256)) * 100, then_close=True),
    ],
    ids=["reset", "goodbye", "ssh", "status", "two lengths", "1000 headers", "long header", "rubbish"],
)
async def test_what_is_no_http_answer_is_a_broken_connection(session: XSession, answer: Answer) -> None:
    assert await answer_to(answer, session) == TransportFailure("broken")


async def test_nobody_listening_is_a_failed_connection(session: XSession) -> None:
    async with StubX() as x:
        url = x.url
    assert await post(session, url) == TransportFailure("connection")


# --- giving up ---


async def test_abort_ends_every_request_that_is_under_way(session: XSession) -> None:
    async with StubX(silence) as x:
        posts = [asyncio.create_task(post(session, x.url)) for _ in range(5)]
        await x.has_received(5)
        session.abort()
        assert set(await asyncio.gather(*posts)) == {TransportFailure("timeout")}


async def test_session_goes_on_after_an_abort(session: XSession) -> None:
    async with StubX(silence) as hanging, StubX() as x:
        assert isinstance(await post(session, x.url), HttpResponse)
        given_up = asyncio.create_task(post(session, hanging.url))
        await hanging.has_received(1)
        session.abort()
        await given_up
        assert isinstance(await post(session, x.url), HttpResponse)
        assert x.connections == 1, "the idle connection was nobody's and stays open"


@pytest.mark.parametrize("connected_before", [False, True])
async def test_an_aborted_attempt_never_sends(session: XSession, connected_before: bool) -> None:  # noqa: FBT001 - a table's column
    async with StubX() as x:
        if connected_before:
            await post(session, x.url)
        attempt = Attempt()
        attempt.abort()
        answer = await asyncio.to_thread(session._post, request_to(x.url), KEYS, PATIENCE_S, math.inf, attempt)
        assert answer == TransportFailure("timeout")
        await asyncio.sleep(0.05)  # what was sent would be here
        assert len(x.received) == int(connected_before)


async def test_abort_that_comes_when_the_answer_is_read_leaves_the_connection_to_the_next_request(
    session: XSession,
) -> None:
    async with StubX() as x:

        def read_then_abort() -> None:
            attempt = Attempt()
            request = request_to(x.url)
            prepared = session._session.prepare_request(requests.Request("POST", request.url, data=request.body))
            with attempting(attempt), session._session.send(prepared, stream=True, timeout=PATIENCE_S) as response:
                assert response.content
                attempt.abort()

        await asyncio.to_thread(read_then_abort)
        assert isinstance(await post(session, x.url), HttpResponse)
        assert x.connections == 1


async def test_answers_are_complete_under_aborts_at_any_moment() -> None:
    """Whatever an abort meets, a request ends in X's answer or in none, and the next one in X's answer."""
    session = XSession(max_in_flight=4)
    async with StubX() as x:
        for number in range(60):
            under_way = asyncio.create_task(post(session, x.url))
            await asyncio.sleep(number * 0.0001)
            session.abort()
            answer = await under_way
            assert isinstance(answer, TransportFailure) or _is_complete(answer)
            assert _is_complete(await post(session, x.url))


def _is_complete(answer: HttpResponse | TransportFailure) -> bool:
    return isinstance(answer, HttpResponse) and json.loads(answer.body)["data"]["conversions_processed"] == 1


async def test_failed_requests_say_nothing_of_keys_or_conversions(
    session: XSession, capfd: pytest.CaptureFixture[str]
) -> None:
    for answer in (reset, writing(b"\r\n" * 10, then_close=True)):
        failure = await answer_to(answer, session)
        assert repr(failure) == "TransportFailure(kind='broken')"
    shown = "".join(itertools.chain(*capfd.readouterr()))
    assert not any(secret in shown for secret in (KEYS.consumer_secret, KEYS.access_token_secret, KEYS.access_token))
