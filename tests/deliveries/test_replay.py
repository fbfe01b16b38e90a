"""A dead letter that is published again: the same event, the same pixel, the same dedup key."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from tests.fakes import FakeX, delivery, failed, ok
from tests.handling import ACK, PIXEL, HandlerRig, event, message
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.events.reading import EventReadings, ReadEvent
from xcapi_core.pubsub import PubsubMessage


def replayed(dead_letter: OutgoingMessage, message_id: str = "replay") -> PubsubMessage:
    return delivery(
        dead_letter.data,
        dict(dead_letter.attributes),
        message_id=message_id,
        publish_time="2026-05-01T00:00:00Z",
        subscription="projects/p/subscriptions/s",
    )


def without_id(number: int) -> dict[str, object]:
    return {"event_id": f"tw-{PIXEL}-o8z21", "twclid": f"click-{number}"}


async def test_events_that_shared_a_dead_letter_keep_their_derived_ids_when_it_is_replayed() -> None:
    rig = HandlerRig(FakeX(lambda _: failed(401)))
    await rig.handler.handle(message({"no": "event"}, *(without_id(number) for number in range(1200))))
    first = {conversion_id for request in rig.x.requests for conversion_id in request}
    shared = next(
        dead_letter for dead_letter in rig.dead_letters.messages if "xcapi_event_count" in dead_letter.attributes
    )
    assert shared.attributes["xcapi_event_indices"] == "1-1200"
    again = HandlerRig()
    assert await again.handler.handle(replayed(shared)) == ACK
    assert set(again.sent) == first


async def test_shared_dead_letter_says_the_format_that_its_events_were_read_in() -> None:
    rig = HandlerRig(FakeX(lambda _: failed(401)))
    first = {"name": "not_wanted", "params": {}}
    of_gtm = {"event_name": "purchase", "user_data": {"email": "a@example.com"}}
    await rig.handler.handle(message(first, *({**of_gtm, "event_id": f"order-{number}"} for number in range(1200))))
    (shared,) = rig.dead_letters.messages
    assert shared.attributes["format"] == "ga4"
    again = HandlerRig()
    assert await again.handler.handle(replayed(shared)) == ACK
    assert len(again.sent) == 1200


async def test_indices_that_no_attribute_could_name_are_shared_out() -> None:
    rig = HandlerRig()
    events = [{"no": "event"} if number % 2 else event(f"c{number}") for number in range(2400)]
    await rig.handler.handle(message(*events))
    dead_letters = rig.dead_letters.messages
    assert sum(int(dead_letter.attributes["xcapi_event_count"]) for dead_letter in dead_letters) == 1200
    assert all(len(dead_letter.attributes["xcapi_event_indices"]) <= 1024 for dead_letter in dead_letters)
    assert [index for dead_letter in dead_letters for index in dead_letter.event_indices] == list(range(1, 2400, 2))


async def test_rejected_event_keeps_its_id_when_it_is_replayed_without_one_of_its_own() -> None:
    rig = HandlerRig(FakeX(lambda _: failed(401)))
    await rig.handler.handle(message(event("first"), without_id(1)))
    dead_letter = rig.dead_letters.messages[1]
    again = HandlerRig()
    await again.handler.handle(replayed(dead_letter))
    assert again.sent == [dead_letter.attributes["xcapi_conversion_id"]] == [rig.x.requests[0][1]]


async def test_dead_letter_that_expires_on_its_way_keeps_the_id_it_brought() -> None:
    rig = HandlerRig(max_event_age_hours=1.0)
    old = {**without_id(1), "time": "2026-01-01T00:00:00Z"}
    brought = {"xcapi_conversion_id": "xcapi-original", "xcapi_reason": "rejected"}
    await rig.handler.handle(message(data=msgspec.json.encode(old), attributes=brought))
    (dead_letter,) = rig.dead_letters.messages
    assert dead_letter.attributes["xcapi_reason"] == "expired"
    assert dead_letter.attributes["xcapi_conversion_id"] == "xcapi-original"
    assert dead_letter.attributes["xcapi_pixel_id"] == PIXEL


async def test_event_that_alone_would_be_taken_for_another_format_says_in_which_it_was_read() -> None:
    rig = HandlerRig(FakeX(lambda _: failed(401)))
    await rig.handler.handle(message(event("plain"), event("like-ga4", client_id="1.2")))
    plain, like_ga4 = rig.dead_letters.messages
    assert "format" not in plain.attributes
    assert like_ga4.attributes["format"] == "x"
    again = HandlerRig()
    assert await again.handler.handle(replayed(like_ga4)) == ACK
    assert again.sent == ["like-ga4"]


async def test_two_messages_of_the_same_bytes_without_a_publish_time_are_two_conversions() -> None:
    rig = HandlerRig()
    data = json.dumps(without_id(1)).encode()
    for message_id in ("1", "2", "2"):
        assert await rig.handler.handle(delivery(data, message_id=message_id)) == ACK
    assert len(rig.sent) == len(set(rig.sent)) == 2


async def test_long_and_short_form_of_a_tag_are_one_conversion() -> None:
    rig = HandlerRig()
    await rig.handler.handle(message(event("order-1"), message_id="1"))
    await rig.handler.handle(message({**event("order-1"), "event_id": "o8z21"}, message_id="2"))
    assert rig.sent == ["order-1"]


@pytest.mark.parametrize(
    ("envelope", "consent", "sent"),
    [
        ({"consent": "denied"}, "respect", False),
        ({"consent": {"ad_storage": "granted", "ad_user_data": "denied"}}, "respect", False),
        ({"opt_out": True}, "respect", False),
        ({"consent": "perhaps"}, "respect", False),
        ({"consent": "denied"}, "ignore", True),
        ({"consent": "granted"}, "respect", True),
        ({"source": "checkout"}, "respect", True),
    ],
)
async def test_a_no_beside_the_array_holds_for_its_events(
    envelope: dict[str, object],
    consent: str,
    sent: bool,  # noqa: FBT001 - a table's column
) -> None:
    rig = HandlerRig(consent=consent)
    assert await rig.handler.handle(message(data=msgspec.json.encode({**envelope, "events": [event("c1")]}))) == ACK
    assert rig.sent == (["c1"] if sent else [])
    assert rig.dead_letters.messages == []


async def test_only_messages_with_something_settled_are_remembered() -> None:
    rig = HandlerRig(FakeX(lambda _: failed(503)))
    for number in range(50):
        await rig.handler.handle(message(event(f"c{number}"), message_id=str(number)))
    assert rig.handler.memory.held_bytes == 0
    await rig.handler.handle(message(event("c1"), {"no": "event"}, message_id="half"))
    assert 0 < rig.handler.memory.held_bytes < 1000


async def test_reading_ends_with_the_delivery_s_time_and_goes_on_in_its_redelivery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    rig = HandlerRig(clock=lambda: now[0])

    read_on = EventReadings.__iter__

    def read_slowly(readings: EventReadings) -> Iterator[ReadEvent | int]:
        for read in read_on(readings):
            now[0] += 0.0 if isinstance(read, int) else 0.1
            yield read

    monkeypatch.setattr(EventReadings, "__iter__", read_slowly)
    bad = [{"no": number} for number in range(1000)]
    answer = await rig.handler.handle(message(*bad))
    assert (answer.status, answer.cause) == (503, "no_time_left")
    deliveries = 1
    while answer != ACK:
        answer = await rig.handler.handle(message(*bad))
        deliveries += 1
    assert deliveries <= 4
    indices = [index for dead_letter in rig.dead_letters.messages for index in dead_letter.event_indices]
    assert sorted(indices) == list(range(1000)), "each has its dead_letter, and none has two"


async def test_unconfirmed_duplicate_is_not_sent_after_the_first() -> None:
    rig = HandlerRig(FakeX(lambda conversions: ok(len(conversions) + 1), latency_s=0.02))
    await rig.handler.handle(message(event("same", value="1", currency="EUR"), event("same")))
    assert rig.sent == ["same"]
    assert rig.reasons == ["unconfirmed", "unconfirmed"]
