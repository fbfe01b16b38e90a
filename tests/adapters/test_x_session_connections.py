"""XSession's connections: kept, but never one whose next bytes may belong to another request."""

import asyncio
import socket
import struct
from types import SimpleNamespace

import pytest

from tests.adapters.stub_x import Answer, Received, StubX, answer_ok, http_answer, silence
from tests.adapters.x_posts import post, post_until_received
from xcapi_core.adapters import abortable
from xcapi_core.adapters.x_session import XSession
from xcapi_core.x_api.protocol import HttpResponse, TransportFailure

REFUSED = http_answer(400, b'{"errors":[]}')


def in_turn(*answers: Answer) -> Answer:
    """Answer the first request with the first, and so on; then confirm."""
    left = iter(answers)

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        await next(left, answer_ok)(received, writer)

    return answer


def after_interim(interim: bytes, *, pause_s: float) -> Answer:
    async def answer(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(interim)
        await writer.drain()
        await asyncio.sleep(pause_s)
        writer.write(REFUSED)

    return answer


async def closing(_received: Received, writer: asyncio.StreamWriter) -> None:
    """Close without a byte."""
    writer.close()


async def resetting(_received: Received, writer: asyncio.StreamWriter) -> None:
    """Reset without a byte."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def breaking_off(_received: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 2")
    await writer.drain()
    writer.close()


def statuses(*answers: HttpResponse | TransportFailure) -> list[int | str]:
    return [answer.status if isinstance(answer, HttpResponse) else answer.kind for answer in answers]


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 199 Whatever\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["102", "103", "three", "199"],
)
async def test_each_request_gets_its_own_answer_whatever_comes_before_it(
    session: XSession, interim: bytes, pause_s: float
) -> None:
    async with StubX(in_turn(after_interim(interim, pause_s=pause_s))) as x:
        assert statuses(await post(session, x.url), await post(session, x.url)) == [400, 200]


async def test_a_switch_of_protocols_is_no_answer_and_its_connection_carries_no_other_request(
    session: XSession,
) -> None:
    async def switching(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    async with StubX(in_turn(switching)) as x:
        assert statuses(await post(session, x.url), await post(session, x.url)) == [101, 200]
        assert x.connections == 2


@pytest.mark.parametrize(("idle_s", "connections"), [(0.0, 1), (29.0, 1), (30.0, 2), (900.0, 2)])
async def test_connection_that_was_idle_for_30_s_is_not_reused(
    session: XSession, monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    async with StubX() as x:
        now = 1_000.0
        monkeypatch.setattr(abortable, "time", SimpleNamespace(monotonic=lambda: now))
        await post(session, x.url)
        now += idle_s
        await post(session, x.url)
        assert x.connections == connections


@pytest.mark.parametrize("ending", [closing, resetting])
async def test_kept_connection_that_closes_without_a_byte_gets_one_fresh_try(session: XSession, ending: Answer) -> None:
    async with StubX(in_turn(answer_ok, ending)) as x:
        assert statuses(await post(session, x.url), await post(session, x.url)) == [200, 200]
        assert [received.connection for received in x.received] == [1, 1, 2]
        signatures = [received.headers["authorization"] for received in x.received]
        assert len(set(signatures)) == 3, "each try has a nonce of its own"


async def test_fresh_try_takes_no_other_kept_connection(session: XSession) -> None:
    async with StubX() as x:
        await asyncio.gather(post(session, x.url), post(session, x.url), post(session, x.url))
        kept = x.connections
        x.answer = in_turn(closing)
        assert statuses(await post(session, x.url)) == [200]
        assert x.connections == kept + 1


async def test_there_is_no_second_fresh_try(session: XSession) -> None:
    async with StubX(in_turn(answer_ok, closing, closing)) as x:
        assert statuses(await post(session, x.url), await post(session, x.url)) == [200, "broken"]
        assert len(x.received) == 3


@pytest.mark.parametrize("ending", [closing, resetting])
async def test_fresh_connection_that_closes_without_a_byte_is_not_tried_again(
    session: XSession, ending: Answer
) -> None:
    async with StubX(in_turn(ending)) as x:
        assert statuses(await post(session, x.url)) == ["broken"]
        assert len(x.received) == 1


@pytest.mark.parametrize(
    ("ending", "outcome"), [(breaking_off, "broken"), (silence, "timeout")], ids=["a first byte", "silence"]
)
async def test_kept_connection_that_answers_or_stays_open_is_not_tried_again(
    session: XSession, ending: Answer, outcome: str
) -> None:
    async with StubX(in_turn(answer_ok, *[ending] * 9)) as x:
        await post(session, x.url)
        assert statuses(await post_until_received(session, x)) == [outcome]
        assert len(x.received) == 2
