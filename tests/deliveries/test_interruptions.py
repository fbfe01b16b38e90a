"""Whatever befalls instances: every event ends, and once, but where the README names the cause ("Limits")."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.deliveries.interrupted import Plan, World
from tests.fakes import FakePublisher, FakeX, failed
from tests.handling import ACK, HandlerRig, event, message
from tests.virtual_time import VirtualLoop
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.service import STOP_WITHIN_S
from xcapi_core.settings import BatchSettings


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


# The Terraform module's default is one instance; every deploy overlaps two for a while.
PLANS = {
    "restarts": Plan(faults=["SIGTERM"]),
    "restarts of one of two": Plan(instances=2, faults=["SIGTERM"]),
    "kills": Plan(faults=["SIGKILL"]),
    "restarts and kills of one of two": Plan(instances=2, faults=["SIGTERM", "SIGKILL"]),
    "topics that fail": Plan(unwell_topics=0.2, lost_acks=0.1),
    "suspended, under a clock that jumps": Plan(faults=["suspended", "clock"], lost_acks=0.1),
    "one of two suspended, under a clock that jumps": Plan(instances=2, faults=["suspended", "clock", "SIGTERM"]),
    "a full ledger": Plan(ledger_capacity=64, lost_acks=0.1, shared_conversions=True),
    "everything": Plan(
        instances=2,
        faults=["SIGTERM", "SIGKILL", "suspended", "clock"],
        unwell_topics=0.1,
        lost_acks=0.1,
        ledger_capacity=256,
        shared_conversions=True,
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("plan", PLANS)
def test_every_event_ends_once_whatever_befalls_the_instances(plan: str, seed: int, loop: VirtualLoop) -> None:
    world = World(loop, seed, PLANS[plan])
    world.run()
    assert world.findings() == []


@pytest.mark.parametrize("came_again", ["the message", "its remainder"])
def test_dead_letter_is_not_published_again_while_nobody_knows_how_publishing_it_ended(
    came_again: str, loop: VirtualLoop
) -> None:
    rig = HandlerRig(clock=loop.time)
    rig.dead_letters.released = asyncio.Event()
    its_remainder = message("rubbish", message_id="2", attributes={"xcapi_message_id": "1", "xcapi_event_indices": "1"})

    async def run() -> None:
        released = rig.dead_letters.released
        assert released is not None
        assert await rig.handle(event("c1"), "rubbish") == Answer(503, "dead_letters_unavailable")
        loop.call_later(20.0, released.set)
        again = message(event("c1"), "rubbish") if came_again == "the message" else its_remainder
        assert await rig.handler.handle(again) == ACK

    loop.run(run())
    assert (rig.reasons, rig.dead_letters.requests) == (["invalid_event"], 1)


def test_shutdown_also_ends_what_waits_for_dead_letters_of_the_same_message(loop: VirtualLoop) -> None:
    rig = HandlerRig(clock=loop.time)
    rig.dead_letters.released = asyncio.Event()
    remainder = message("rubbish", message_id="2", attributes={"xcapi_message_id": "1", "xcapi_event_indices": "7"})

    async def run() -> None:
        handling = [asyncio.create_task(rig.handler.handle(one)) for one in (message("rubbish"), remainder)]
        await asyncio.sleep(1.0)
        by = loop.time() + STOP_WITHIN_S
        rig.handler.stop(by)
        loop.call_later(STOP_WITHIN_S, rig.handler.give_up)
        assert await asyncio.gather(*handling) == [Answer(503, "dead_letters_unavailable")] * 2
        assert loop.time() <= by + 0.1

    loop.run(run())


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
