"""A message comes back: what is settled stays settled, and only what is left is sent or published."""

import asyncio

import pytest

from tests.fakes import FakeX, ok
from tests.handling import (
    ACK,
    OTHER_PIXEL,
    HandlerRig,
    down_for_the_other_pixel,
    event,
    message,
    refusing,
    summary,
)
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.ledger import Ledger

# --- redelivery ---


async def test_redelivery_of_a_half_settled_message_sends_only_the_rest_and_publishes_no_dead_letter_twice() -> None:
    rig = HandlerRig(FakeX(down_for_the_other_pixel))
    events = [event("a1"), event("b1", pixel_id=OTHER_PIXEL), event("bad"), "rubbish", event("a2")]
    assert await rig.handle(*events) == Answer(503, "x_unavailable")
    assert (sorted(rig.reasons), rig.dead_letters.requests) == (["invalid_event", "rejected"], 2)
    rig.x.requests.clear()
    rig.x.handler = refusing("bad")
    assert await rig.handle(*events) == ACK
    assert rig.sent == ["b1"]
    assert (sorted(rig.reasons), rig.dead_letters.requests) == (["invalid_event", "rejected"], 2)


async def test_message_settled_in_part_is_kept_although_the_ledger_has_forgotten_its_conversions() -> None:
    rig = HandlerRig(FakeX(down_for_the_other_pixel), ledger=Ledger(capacity=4))
    events = [event("a1"), event("bad"), event("b1", pixel_id=OTHER_PIXEL)]
    assert (await rig.handle(*events)).status == 503
    crowd = [event(f"crowd-{number}") for number in range(50)]
    assert await rig.handler.handle(message(*crowd, message_id="2")) == ACK
    assert not rig.has("a1")
    rig.x.requests.clear()
    rig.x.handler = refusing("bad")
    assert await rig.handle(*events) == ACK
    assert rig.sent == ["b1"]
    assert rig.reasons == ["rejected"]


async def test_redelivery_may_be_nacked_again_and_again_without_repeating_anything() -> None:
    rig = HandlerRig(FakeX(down_for_the_other_pixel))
    events = [event("a1"), "rubbish", event("b1", pixel_id=OTHER_PIXEL)]
    for _ in range(5):
        assert (await rig.handle(*events)).status == 503
    assert rig.sent.count("a1") == 1
    assert rig.reasons == ["invalid_event"]
    rig.x.handler = refusing()
    assert await rig.handle(*events) == ACK
    assert (rig.sent.count("a1"), rig.reasons) == (1, ["invalid_event"])


async def test_message_whose_ack_was_lost_is_acked_again_and_nothing_is_repeated(
    capfd: pytest.CaptureFixture[str],
) -> None:
    rig = HandlerRig(FakeX(refusing("bad")))
    events = [event("a1"), event("bad"), "rubbish"]
    assert await rig.handle(*events) == ACK
    before = (len(rig.x.requests), rig.dead_letters.requests)
    capfd.readouterr()
    assert await rig.handle(*events) == ACK
    assert (len(rig.x.requests), rig.dead_letters.requests) == before
    assert summary(capfd)["already_settled"] == 3


async def test_unreadable_message_that_comes_again_is_not_dead_lettered_again() -> None:
    rig = HandlerRig()
    for _ in range(2):
        assert await rig.handler.handle(message(data=b"no JSON")) == ACK
    assert rig.reasons == ["invalid_message"]


async def test_same_conversion_in_another_message_is_not_sent_again() -> None:
    rig = HandlerRig()
    for message_id in ("1", "2"):
        assert await rig.handler.handle(message(event("c1"), message_id=message_id)) == ACK
    assert rig.sent == ["c1"]


async def test_same_conversion_id_of_another_tag_or_pixel_is_another_conversion() -> None:
    rig = HandlerRig()
    other_tag = event("c1", event_id="tw-o8z6j-o8z22")
    assert await rig.handle(event("c1"), other_tag, event("c1", pixel_id=OTHER_PIXEL)) == ACK
    assert rig.sent == ["c1", "c1", "c1"]


# --- duplicates of a delivery in progress ---


async def test_duplicate_of_a_delivery_in_progress_shares_its_answer() -> None:
    rig = HandlerRig(FakeX(down_for_the_other_pixel, latency_s=0.05))
    rig.dead_letters.released = asyncio.Event()
    events = [event("a1"), event("b1", pixel_id=OTHER_PIXEL), "rubbish"]
    first = asyncio.create_task(rig.handle(*events))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(rig.handle(*events))
    await asyncio.sleep(0.01)
    rig.dead_letters.released.set()
    assert await second == await first == Answer(503, "x_unavailable")
    assert sorted(rig.sent) == ["a1", "b1"]
    assert (rig.reasons, rig.dead_letters.requests) == (["invalid_event"], 1)


async def test_duplicate_gets_its_answer_although_the_first_caller_went_away() -> None:
    rig = HandlerRig(FakeX(latency_s=0.05))
    first = asyncio.create_task(rig.handle(event("c1")))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(rig.handle(event("c1")))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == ACK
    assert rig.sent == ["c1"]


async def test_other_content_under_the_same_message_id_is_another_delivery() -> None:
    rig = HandlerRig(FakeX(latency_s=0.02))
    assert {*await asyncio.gather(rig.handle(event("c1")), rig.handle(event("c2")))} == {ACK}
    assert sorted(rig.sent) == ["c1", "c2"]


async def test_messages_without_an_id_are_handled_each() -> None:
    rig = HandlerRig(FakeX(latency_s=0.02))
    nameless = message(event("c1"), "rubbish", message_id="")
    answers = await asyncio.gather(rig.handler.handle(nameless), rig.handler.handle(nameless))
    assert set(answers) == {ACK}
    assert rig.sent == ["c1"], "the conversion itself is known by its id"
    assert rig.reasons == ["invalid_event"] * 2


# --- dead letters that cannot be published ---


async def test_dead_letter_that_cannot_be_published_brings_the_message_back_and_only_the_dead_letter_is_left() -> None:
    rig = HandlerRig()
    rig.dead_letters.cause = "UNAVAILABLE"
    assert await rig.handle(event("c1"), "rubbish") == Answer(503, "dead_letters_unavailable")
    assert rig.has("c1")
    rig.dead_letters.cause = None
    assert await rig.handle(event("c1"), "rubbish") == ACK
    assert (rig.sent, rig.reasons) == (["c1"], ["invalid_event"])


async def test_unconfirmed_conversion_whose_dead_letter_could_not_be_published_is_not_sent_again() -> None:
    rig = HandlerRig(FakeX(lambda conversions: ok(len(conversions) - 1)))
    rig.dead_letters.cause = "UNAVAILABLE"
    for _ in range(2):
        assert await rig.handle(event("c1"), event("c2")) == Answer(503, "dead_letters_unavailable")
    rig.dead_letters.cause = None
    rig.x.handler = refusing()
    assert await rig.handle(event("c1"), event("c2")) == ACK
    assert rig.sent == ["c1", "c2"], "X may have counted them the first time"
    assert rig.reasons == ["unconfirmed", "unconfirmed"]
    assert {dead_letter.attributes["xcapi_conversion_id"] for dead_letter in rig.dead_letters.messages} == {"c1", "c2"}


async def test_hanging_publisher_ends_with_the_delivery_s_time_and_its_late_success_is_remembered() -> None:
    rig = HandlerRig(settle_timeout_s=0.4, request_timeout_s=0.1)
    rig.dead_letters.released = asyncio.Event()
    async with asyncio.timeout(0.45):
        assert await rig.handle(event("c1"), "rubbish") == Answer(503, "dead_letters_unavailable")
    rig.dead_letters.released.set()
    await asyncio.sleep(0.01)
    assert rig.reasons == ["invalid_event"]
    assert await rig.handle(event("c1"), "rubbish") == ACK
    assert (rig.sent, rig.dead_letters.requests) == (["c1"], 1)


async def test_dead_letters_leave_while_x_is_still_at_work() -> None:
    rig = HandlerRig(FakeX(latency_s=0.2))
    handling = asyncio.create_task(rig.handle("rubbish", event("c1")))
    await asyncio.sleep(0.05)
    assert rig.reasons == ["invalid_event"]
    assert not handling.done()
    assert await handling == ACK
