"""What is published to a topic: shared requests, an answer in time, and nothing that is safe is forgotten."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.fakes import FakePublisher
from xcapi_core.deliveries.outbox import MAX_IN_FLIGHT, Outbox, Publisher
from xcapi_core.deliveries.outgoing import OutgoingMessage


def outgoing(index: int, size: int = 1) -> OutgoingMessage:
    return OutgoingMessage(data=b"x" * size, attributes={"n": str(index)}, event_indices=(index,))


class Rig:
    def __init__(self, publisher: Publisher | None = None) -> None:
        self.topic = FakePublisher()
        self.now = asyncio.get_running_loop().time
        self.outbox = Outbox(publisher or self.topic, name="dead_letters", clock=self.now)
        self.safe: list[int] = []

    async def publish(self, *messages: OutgoingMessage, within_s: float = 30.0) -> bool:
        is_safe = await self.outbox.publish(messages, self.now() + within_s, self._when_safe)
        return is_safe.done() and is_safe.result()

    def _when_safe(self, messages: Sequence[OutgoingMessage]) -> None:
        self.safe += [index for message in messages for index in message.event_indices]


async def test_what_is_published_is_safe_and_noted() -> None:
    rig = Rig()
    assert await rig.publish(outgoing(3), outgoing(5))
    assert [message.event_indices for message in rig.topic.messages] == [(3,), (5,)]
    assert rig.safe == [3, 5]


async def test_deliveries_of_one_turn_share_a_request() -> None:
    rig = Rig()
    assert all(await asyncio.gather(*(rig.publish(outgoing(number)) for number in range(200))))
    assert rig.topic.requests == 1
    assert sorted(rig.safe) == list(range(200))


async def test_what_comes_while_requests_are_in_flight_waits_and_shares_the_next() -> None:
    rig = Rig()
    rig.topic.released = asyncio.Event()
    publishing = []
    for number in range(20):
        publishing.append(asyncio.create_task(rig.publish(outgoing(number))))
        await asyncio.sleep(0.001)
    assert rig.topic.requests == MAX_IN_FLIGHT
    rig.topic.released.set()
    assert all(await asyncio.gather(*publishing))
    assert rig.topic.requests == MAX_IN_FLIGHT + 1


async def test_shared_requests_keep_to_pubsub_s_limits() -> None:
    sizes: list[tuple[int, int]] = []

    class Measuring(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
            sizes.append((len(messages), sum(message.size_bytes for message in messages)))
            return await super().publish(messages, timeout_s)

    rig = Rig(Measuring())
    many = [rig.publish(*(outgoing(number) for number in range(400))) for _ in range(4)]
    large = [rig.publish(outgoing(number, size=4_000_000)) for number in range(4)]
    assert all(await asyncio.gather(*many, *large))
    assert max(count for count, _ in sizes) <= 1000
    assert max(size for _, size in sizes) <= 10_000_000
    assert len(sizes) < 8


async def test_refusal_is_told_and_logged_without_a_word_of_the_message(capfd: pytest.CaptureFixture[str]) -> None:
    rig = Rig()
    rig.topic.cause = "PERMISSION_DENIED"
    assert not await rig.publish(OutgoingMessage(data=b"jane", attributes={"mail": "jane"}))
    assert rig.safe == []
    shown = capfd.readouterr().out
    assert "dead_letters.unavailable" in shown
    assert "PERMISSION_DENIED" in shown
    assert "jane" not in shown


async def test_one_delivery_s_invalid_message_does_not_keep_others_from_being_published() -> None:
    class Offended(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
            if any(message.attributes["n"] == "7" for message in messages):
                return "INVALID_ARGUMENT"
            return await super().publish(messages, timeout_s)

    rig = Rig(Offended())
    answers = await asyncio.gather(*(rig.publish(outgoing(number)) for number in range(10)))
    assert answers == [number != 7 for number in range(10)]


async def test_hanging_publisher_is_waited_for_until_the_deadline_and_its_late_success_is_noted() -> None:
    rig = Rig()
    rig.topic.released = asyncio.Event()
    assert not await rig.publish(outgoing(0), within_s=0.05)
    rig.topic.released.set()
    await asyncio.sleep(0.01)
    assert rig.safe == [0], "late, but out"


async def test_late_failure_is_not_taken_for_a_success() -> None:
    rig = Rig()
    rig.topic.released = asyncio.Event()
    rig.topic.cause = "UNAVAILABLE"
    assert not await rig.publish(outgoing(0), within_s=0.05)
    rig.topic.released.set()
    await asyncio.sleep(0.01)
    assert rig.safe == []


async def test_publisher_is_told_how_much_time_there_is() -> None:
    limits: list[float] = []

    class Recording(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
            limits.append(timeout_s)
            return await super().publish(messages, timeout_s)

    rig = Rig(Recording())
    await rig.publish(outgoing(0), within_s=7.0)
    await rig.publish(outgoing(1), within_s=-1.0)
    rig.outbox.stop(rig.now() + 2.0)
    await rig.publish(outgoing(2), within_s=7.0)
    assert 2.0 < limits[0] <= 7.0
    assert limits[1] == 0.0
    assert 0.0 < limits[2] <= 2.0


async def test_at_the_end_of_a_shutdown_nobody_waits_any_more_and_a_late_success_is_noted() -> None:
    rig = Rig()
    rig.topic.released = asyncio.Event()
    publishing = [asyncio.create_task(rig.publish(outgoing(index))) for index in range(3)]
    await asyncio.sleep(0.01)
    rig.outbox.give_up()
    assert await asyncio.gather(*publishing) == [False] * 3
    rig.topic.released.set()
    await asyncio.sleep(0.01)
    assert sorted(rig.safe) == [0, 1, 2]


async def test_bug_in_the_publisher_is_logged_and_nobody_is_left_waiting(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:  # noqa: ARG002
            raise ZeroDivisionError

    assert not await Rig(Broken()).publish(outgoing(0))
    assert "dead_letters.crashed" in capfd.readouterr().out
