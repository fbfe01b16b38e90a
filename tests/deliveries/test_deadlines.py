"""A delivery is answered in its time, whatever hangs; a shutdown nacks what waits, and acks nothing that X lacks."""

import asyncio

from tests.fakes import FakeX, Handler
from tests.handling import (
    ACK,
    HandlerRig,
    event,
    message,
)
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure

# --- the delivery's time ---


async def test_hanging_x_is_given_up_in_time_to_answer() -> None:
    rig = HandlerRig(FakeX(latency_s=60), settle_timeout_s=5.0, request_timeout_s=0.2)
    async with asyncio.timeout(5.0):
        assert await rig.handle(event("c1")) == Answer(503, "x_timeout")
    assert not rig.has("c1")


async def test_those_behind_a_hanging_x_are_answered_in_their_time_and_never_sent_too_late() -> None:
    starts: list[float] = []
    clock = asyncio.get_running_loop().time

    class HangingX(FakeX):
        async def post(
            self, request: HttpRequest, credentials: Credentials, timeout_s: float
        ) -> HttpResponse | TransportFailure:
            starts.append(clock())
            return await super().post(request, credentials, timeout_s)

    batch = BatchSettings(max_conversions=1, max_in_flight=1)
    rig = HandlerRig(HangingX(latency_s=60), settle_timeout_s=1.0, request_timeout_s=0.2, batch=batch)
    handling = [
        asyncio.create_task(rig.handler.handle(message(event(f"c{number}"), message_id=str(number))))
        for number in range(10)
    ]
    await asyncio.sleep(0)
    deadline = clock() + 1.0
    answers = await asyncio.gather(*handling)
    assert {answer.status for answer in answers} == {503}
    assert {answer.cause for answer in answers} == {"x_timeout", "no_time_left"}
    # A quarter of the time beside one request is kept back, for the dead letters of what such a request would refuse.
    assert max(starts) <= deadline - 0.2 - 0.2, "a request started without its whole time left"


class LateX(FakeX):
    """Answers when it is told to, whatever the time limit was."""

    def __init__(self, handler: Handler | None = None) -> None:
        super().__init__(handler)
        self.answer_now = asyncio.Event()

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        answer = await super().post(request, credentials, timeout_s)
        await self.answer_now.wait()
        return answer


async def test_answer_that_comes_after_the_delivery_was_given_up_enters_the_ledger() -> None:
    x = LateX()
    rig = HandlerRig(x, settle_timeout_s=0.4, request_timeout_s=0.1)
    assert await rig.handle(event("c1")) == Answer(503, "no_time_left")
    assert not rig.has("c1")
    x.answer_now.set()
    await asyncio.sleep(0.01)
    assert rig.has("c1")
    assert await rig.handle(event("c1")) == ACK
    assert rig.sent == ["c1"]


async def test_redelivery_that_finds_its_request_still_open_waits_for_that_answer() -> None:
    x = LateX()
    rig = HandlerRig(x, settle_timeout_s=0.4, request_timeout_s=0.1)
    assert (await rig.handle(event("c1"))).status == 503
    again = asyncio.create_task(rig.handle(event("c1")))
    await asyncio.sleep(0.02)
    x.answer_now.set()
    assert await again == ACK
    assert rig.sent == ["c1"]


# --- shutdown ---


async def test_shutdown_nacks_what_waits_and_lets_requests_in_flight_finish() -> None:
    batch = BatchSettings(max_conversions=2, max_in_flight=1)
    rig = HandlerRig(FakeX(latency_s=0.1), batch=batch)
    on_its_way = asyncio.create_task(rig.handler.handle(message(event("c1"), message_id="1")))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(rig.handler.handle(message(event("c2"), message_id="2")))
    await asyncio.sleep(0.02)
    rig.handler.stop()
    assert await waiting == Answer(503, "shutting_down")
    assert not on_its_way.done()
    assert await on_its_way == ACK
    assert rig.sent == ["c1"]


async def test_shutdown_in_the_middle_of_reading_a_large_message_acks_nothing_that_x_does_not_have() -> None:
    rig = HandlerRig(FakeX(latency_s=0.05))
    names = [f"c{number}" for number in range(10_000)]
    handling = asyncio.create_task(rig.handle(*(event(name) for name in names)))
    while not rig.x.requests:  # noqa: ASYNC110 - the very turn at which reading is half done
        await asyncio.sleep(0)
    rig.handler.stop()
    assert await handling == Answer(503, "shutting_down")
    await asyncio.sleep(0.1)
    assert 0 < len(rig.sent) < len(names)
    assert {name for name in names if rig.has(name)} == set(rig.sent)


async def test_what_was_settled_before_a_shutdown_needs_no_request() -> None:
    rig = HandlerRig()
    await rig.handle(event("c1"))
    rig.handler.stop()
    assert await rig.handle(event("c1")) == ACK
    assert await rig.handler.handle(message(event("c2"), message_id="2")) == Answer(503, "shutting_down")


async def test_dead_letters_in_flight_are_given_up_at_the_end_of_a_shutdown() -> None:
    rig = HandlerRig()
    rig.dead_letters.released = asyncio.Event()
    handling = asyncio.create_task(rig.handle("rubbish"))
    await asyncio.sleep(0.01)
    rig.handler.stop()
    await asyncio.sleep(0.01)
    assert not handling.done(), "a dead letter in flight is waited for at first"
    rig.handler.give_up()
    assert await handling == Answer(503, "dead_letters_unavailable")
