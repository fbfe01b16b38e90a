"""SIGTERM at any moment, while X is unwell: every event ends once, and nothing is sent twice that X answered for."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from tests.fakes import FakePublisher, FakeX, failed, ok
from tests.handling import ACK, HandlerRig, event, message, refusing
from tests.virtual_pubsub import VirtualPubsub
from tests.virtual_time import VirtualLoop
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.service import END_POSTS_AFTER_S, END_WAITING_AFTER_S, STOP_WITHIN_S
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


UNWELL: list[HttpResponse | TransportFailure] = [
    failed(503),
    failed(429, retry_after="40"),
    failed(413),
    TransportFailure("connection_lost"),
]


class Account:
    """What X has counted, and of what it did not say so."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.unsaid: set[str] = set()


class UnwellX(FakeX):
    """X as one instance meets it: every fifth answer is none of the good ones, and `cut` ends what is open."""

    def __init__(self, account: Account, chance: random.Random, latency_s: float) -> None:
        super().__init__(refusing(*(f"c{number}" for number in range(0, 10_000, 25))))
        self.account = account
        self.chance = chance
        self.latency_s = latency_s
        self.cut = asyncio.Event()

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        del credentials
        conversions = msgspec.json.decode(request.body)["conversions"]
        ids = [item["conversion_id"] for item in conversions]
        takes_s = 2 * self.latency_s * self.chance.random()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.cut.wait(), min(takes_s, timeout_s))
        in_time = takes_s < timeout_s and not self.cut.is_set()
        answer = self.handler(conversions)
        assert isinstance(answer, HttpResponse)
        if in_time and self.chance.random() < 0.2:
            return self.chance.choice(UNWELL)
        if answer.status == 200:
            self.account.counted.update(ids)
        if not in_time:
            self.account.unsaid.update(ids)
            return TransportFailure("timeout")
        if answer.status == 200 and self.chance.random() < 0.1:
            self.account.unsaid.update(ids)
            return ok(len(ids) + 1)
        return answer


@pytest.mark.parametrize("seed", [*range(8), 28])
def test_every_event_ends_once_however_often_the_instance_is_restarted(seed: int, loop: VirtualLoop) -> None:
    chance, account, dead_letters = random.Random(seed), Account(), FakePublisher()
    pubsub = VirtualPubsub(loop.time, max_attempts=1_000)
    batch = BatchSettings(max_conversions=chance.choice([5, 50, 500]), max_in_flight=chance.choice([1, 4]))
    latency_s, restarted_every_s = chance.choice([0.1, 1.0, 4.0]), chance.choice([5.0, 13.0, 40.0])

    def start() -> HandlerRig:
        x = UnwellX(account, chance, latency_s)
        return HandlerRig(x, publisher=dead_letters, remainder=pubsub, clock=loop.time, batch=batch)

    instances = [start()]

    async def restart() -> None:
        for _ in range(30):
            await asyncio.sleep(restarted_every_s * 2 * chance.random())
            old = instances[-1]
            instances.append(start())
            assert isinstance(old.x, UnwellX)
            old.handler.stop(loop.time() + STOP_WITHIN_S)
            loop.call_later(END_POSTS_AFTER_S, old.x.cut.set)
            loop.call_later(END_WAITING_AFTER_S, old.handler.end_waiting)
            loop.call_later(STOP_WITHIN_S, old.handler.give_up)

    names = [f"c{number}" for number in range(1_000)]
    # Every 25th is one that X refuses, and the one behind it cannot be read.
    events = [event(name, **({"value": "much"} if number % 25 == 1 else {})) for number, name in enumerate(names)]
    sizes = [chance.choice([1, 2, 7, 30, 120, 500]) for _ in range(8)]
    messages = [json.dumps(events[sum(sizes[:at]) : sum(sizes[: at + 1])]).encode() for at in range(len(sizes))]

    async def handle(delivered: PubsubMessage) -> Answer:
        return await instances[-1].handler.handle(delivered)

    async def run() -> None:
        restarts = asyncio.create_task(restart())
        await pubsub.deliver(handle, messages)
        restarts.cancel()

    loop.run(run())
    assert pubsub.exhausted == 0
    reasons: dict[str, list[str]] = {name: [] for name in names}
    for dead_letter in dead_letters.messages:
        reasons[json.loads(dead_letter.data)["conversion_id"]].append(dead_letter.attributes["xcapi_reason"])
    for number, name in enumerate(names[: sum(sizes)]):
        if number % 25 < 2:
            assert (reasons[name], account.counted[name]) == ([["rejected"], ["invalid_event"]][number % 25], 0)
        else:
            assert reasons[name] in ([], ["unconfirmed"])
            assert account.counted[name] == 1 or (account.counted[name] > 1 and name in account.unsaid), name


@pytest.mark.parametrize("count", [500, 1_000, 1_200])
def test_what_there_was_no_time_to_read_is_handed_over_at_a_shutdown(count: int, loop: VirtualLoop) -> None:
    topic = FakePublisher()
    batch = BatchSettings(max_conversions=20, max_in_flight=2)
    rig = HandlerRig(FakeX(latency_s=6.0), remainder=topic, clock=loop.time, batch=batch)

    async def run() -> None:
        handling = asyncio.create_task(rig.handler.handle(message(*(event(f"c{n}") for n in range(count)))))
        await asyncio.sleep(1.0)
        rig.handler.stop(loop.time() + STOP_WITHIN_S)
        assert await handling == ACK

    loop.run(run())
    assert len(rig.sent) == 40
    indices = [index for remainder in topic.messages for index in remainder.event_indices]
    assert sorted(indices) == list(range(40, count))


def test_what_there_was_no_time_to_read_comes_back_where_nothing_is_settled(loop: VirtualLoop) -> None:
    topic = FakePublisher()
    batch = BatchSettings(max_conversions=20, max_in_flight=2)
    x = FakeX(lambda _: failed(503), latency_s=6.0)
    rig = HandlerRig(x, remainder=topic, clock=loop.time, batch=batch)

    async def run() -> None:
        handling = asyncio.create_task(rig.handler.handle(message(*(event(f"c{n}") for n in range(1_000)))))
        await asyncio.sleep(1.0)
        rig.handler.stop(loop.time() + STOP_WITHIN_S)
        assert (await handling).status == 503

    loop.run(run())
    assert topic.messages == []
