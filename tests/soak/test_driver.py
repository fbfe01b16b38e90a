"""The driver delivers as Pub/Sub does: tried against a server that answers as it is told."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest

from tests.soak.driver import Driver, Redelivery
from tests.soak.evidence import End
from tests.soak.plan import Message

RULES = Redelivery(ack_deadline_s=60.0, min_backoff_s=0.01, max_backoff_s=0.05)
SUBSCRIPTION = "projects/p/subscriptions/s"
# Takes (message number, how many deliveries of it came before); gives a status, 0 to close without an answer.
Answers = Callable[[int, int], int]


class Messages:
    """So many single events; `again` as `Message` has it."""

    def __init__(self, count: int, again: str = "") -> None:
        self.sizes = [1] * count
        self._again = again

    def message(self, number: int) -> Message:
        return Message(number=number, data=b"event %d" % number, ends=(End.DELIVERED,), again=self._again)


class Endpoint:
    """Reads pushes, and remembers them; answers none before `together` are open, the first time."""

    def __init__(self, answers: Answers, together: int = 1) -> None:
        self._answers = answers
        self._together = together
        self._all_are_open = asyncio.Event()
        self.url = ""
        self.pushes: list[dict[str, object]] = []
        self.came: Counter[int] = Counter()
        self.connections = 0
        self.open = 0
        self.most_open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].split("\r\n")[0])
                push = json.loads(await reader.readexactly(length))
                number = int(push["message"]["attributes"]["soak_message"])
                self.pushes.append(push)
                before = self.came[number]
                self.came[number] += 1
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                if self.most_open >= self._together:
                    self._all_are_open.set()
                await self._all_are_open.wait()
                await asyncio.sleep(0.01)
                self.open -= 1
                status = self._answers(number, before)
                if not status:
                    return
                body = b"" if status == 204 else b'{"reason": "memory_full"}'
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def endpoint(answers: Answers, together: int = 1) -> AsyncIterator[Endpoint]:
    place = Endpoint(answers, together)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield place
    finally:
        server.close()


async def drive(place: Endpoint, messages: Messages, rules: Redelivery = RULES) -> Driver:
    driver = Driver(messages, url=lambda: place.url, subscription=SUBSCRIPTION, rules=rules)
    await asyncio.wait_for(driver.run(), 60)
    return driver


async def test_a_push_is_an_envelope_as_pubsub_writes_it() -> None:
    async with endpoint(lambda _number, _before: 204) as place:
        await drive(place, Messages(1))
    (push,) = place.pushes
    message = push["message"]
    assert isinstance(message, dict)
    assert base64.b64decode(message["data"]) == b"event 0"
    assert (message["messageId"], push["subscription"], push["deliveryAttempt"]) == ("0" * 16, SUBSCRIPTION, 1)


async def test_a_nack_comes_again_with_the_next_attempt_until_it_is_acked() -> None:
    async with endpoint(lambda _number, before: 204 if before == 3 else 429) as place:
        driver = await drive(place, Messages(5))
    assert set(driver.acked) == set(range(5))
    assert set(place.came.values()) == {4}
    assert sorted({int(str(push["deliveryAttempt"])) for push in place.pushes}) == [1, 2, 3, 4]
    assert driver.answers == {"204": 5, "429 memory_full": 15}
    assert len(driver.nacks) == 15


@pytest.mark.parametrize("status", [0, 400, 500, 503])
async def test_whatever_is_no_ack_is_a_nack(status: int) -> None:
    async with endpoint(lambda _number, before: 204 if before else status) as place:
        driver = await drive(place, Messages(3))
    assert set(driver.acked) == {0, 1, 2}
    assert set(place.came.values()) == {2}


async def test_a_message_that_used_up_its_attempts_is_given_up() -> None:
    async with endpoint(lambda number, _before: 503 if number == 1 else 204) as place:
        driver = await drive(place, Messages(3), replace(RULES, max_attempts=4))
    assert driver.exhausted == [1]
    assert place.came == {0: 1, 1: 4, 2: 1}


@pytest.mark.parametrize("again", ["beside", "after"])
async def test_a_delivery_too_many_is_one(again: str) -> None:
    async with endpoint(lambda _number, _before: 204) as place:
        driver = await drive(place, Messages(4, again))
    assert set(place.came.values()) == {2}
    assert driver.acked_events == 4


async def test_no_answer_within_the_ack_deadline_is_a_nack() -> None:
    async def silent(place: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not place.came:
            place.came[0] += 1
            await reader.read()
        else:
            await Endpoint.serve(place, reader, writer)

    place = Endpoint(lambda _number, _before: 204)
    server = await asyncio.start_server(partial(silent, place), "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    driver = await drive(place, Messages(1), replace(RULES, ack_deadline_s=0.2))
    server.close()
    assert driver.answers["no answer"] >= 1
    assert driver.acked.keys() == {0}


async def test_no_more_pushes_are_open_than_may_be() -> None:
    async with endpoint(lambda _number, _before: 204, together=7) as place:
        await drive(place, Messages(40), replace(RULES, at_once=7))
    assert place.most_open == 7
    assert place.connections == 7


async def test_publishers_wait_while_too_much_is_outstanding() -> None:
    nacked = 100

    def answers(_number: int, _before: int) -> int:
        nonlocal nacked
        nacked -= 1
        return 204 if nacked < 0 else 503

    async with endpoint(answers) as place:
        driver = Driver(Messages(50), url=lambda: place.url, subscription="s", rules=replace(RULES, outstanding=5))
        running = asyncio.create_task(driver.run())
        while nacked > 10:
            await asyncio.sleep(0.01)
            assert len(driver.published) - len(driver.acked) <= 5
        await asyncio.wait_for(running, 60)
    assert len(driver.acked) == 50
