"""What must wait is handed over, once, and its message is acked, however often it is delivered."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import FakePublisher, FakeX, Handler, delivery, failed, ok
from tests.handling import (
    ACK,
    OTHER_PIXEL,
    PUBLISH_TIME,
    HandlerRig,
    down_for_the_other_pixel,
    event,
    logged,
    message,
    refusing,
    summary,
)
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.events.reading import read_events
from xcapi_core.origins import original_event_indices
from xcapi_core.outcomes import Deferred
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import BatchSettings, RateSettings
from xcapi_core.x_api.queue import Waiting


def rig_with(handler: Handler | None = None, **options: Any) -> tuple[HandlerRig, FakePublisher]:
    topic = FakePublisher()
    return HandlerRig(FakeX(handler), remainder=topic, **options), topic


def delivered(remainder: OutgoingMessage, message_id: str = "r1") -> PubsubMessage:
    """Return a remainder as its subscription pushes it."""
    return delivery(
        remainder.data,
        dict(remainder.attributes),
        message_id=message_id,
        publish_time="2026-04-20T13:00:00Z",
        subscription="projects/p/subscriptions/remainder",
    )


MIXED = (event("a1"), event("b1", pixel_id=OTHER_PIXEL), event("a2"), event("b2", pixel_id=OTHER_PIXEL))


async def test_what_must_wait_is_published_and_the_message_is_acked(capfd: pytest.CaptureFixture[str]) -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    assert await rig.handler.handle(message(*MIXED, message_id="17", attributes={"shop": "nl"})) == ACK
    (remainder,) = topic.messages
    assert json.loads(remainder.data) == [MIXED[1], MIXED[3]]
    assert remainder.attributes == {
        "shop": "nl",
        "xcapi_message_id": "17",
        "xcapi_publish_time": PUBLISH_TIME,
        "xcapi_event_indices": "1,3",
    }
    line = summary(capfd)
    assert (line["event"], line["delivered"], line["handed_over"], line["cause"]) == (
        "delivery.settled",
        2,
        2,
        "x_unavailable",
    )
    assert "deferred" not in line


async def test_remainder_is_settled_like_any_message() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    await rig.handle(*MIXED)
    rig.x.handler = refusing()
    assert await rig.handler.handle(delivered(topic.messages[0])) == ACK
    assert sorted(rig.sent) == ["a1", "a2", "b1", "b1", "b2", "b2"]
    assert len(topic.messages) == 1


async def test_message_of_which_nothing_is_settled_is_nacked_and_nothing_is_published() -> None:
    rig, topic = rig_with(lambda _: failed(503))
    assert await rig.handle(event("a1"), event("a2")) == Answer(503, "x_unavailable")
    assert topic.requests == 0


async def test_already_delivered_events_alone_cause_no_remainder() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    assert await rig.handler.handle(message(event("a1"), message_id="first")) == ACK
    assert await rig.handler.handle(message(*MIXED[:2], message_id="second")) == Answer(503, "x_unavailable")
    assert topic.requests == 0


@pytest.mark.parametrize(
    "settled",
    [event("skipped", consent=False), {"no": "event"}, event("delivered")],
    ids=["skipped", "dead-lettered", "delivered"],
)
async def test_whatever_settles_an_event_lets_the_others_be_handed_over(settled: dict[str, object]) -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    assert await rig.handle(settled, MIXED[1]) == ACK
    assert [remainder.event_indices for remainder in topic.messages] == [(1,)]


async def test_without_a_remainder_topic_messages_are_nacked_whole() -> None:
    rig = HandlerRig(FakeX(down_for_the_other_pixel))
    assert await rig.handle(*MIXED) == Answer(503, "x_unavailable")


# --- duplicates ---


async def test_duplicate_of_a_message_that_was_handed_over_causes_nothing() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    await rig.handle(*MIXED, {"no": "event"})
    before = len(rig.x.requests), topic.requests, rig.dead_letters.requests
    for _ in range(3):
        assert await rig.handle(*MIXED, {"no": "event"}) == ACK
    assert (len(rig.x.requests), topic.requests, rig.dead_letters.requests) == before


async def test_duplicate_of_a_remainder_causes_nothing() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    await rig.handle(*MIXED)
    rig.x.handler = refusing("b1")
    assert await rig.handler.handle(delivered(topic.messages[0])) == ACK
    before = len(rig.x.requests), rig.dead_letters.requests
    assert await rig.handler.handle(delivered(topic.messages[0])) == ACK
    assert (len(rig.x.requests), rig.dead_letters.requests) == before


async def test_publish_that_fails_nacks_and_what_was_settled_is_not_repeated() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    topic.cause = "PERMISSION_DENIED"
    assert await rig.handle(*MIXED) == Answer(503, "x_unavailable")
    topic.cause = None
    rig.x.handler = refusing()
    rig.x.requests.clear()
    assert await rig.handle(*MIXED) == ACK
    assert rig.sent == ["b1", "b2"]


async def test_publish_whose_result_came_too_late_counts_as_handed_over() -> None:
    rig, topic = rig_with(down_for_the_other_pixel, settle_timeout_s=0.8, request_timeout_s=0.1)
    topic.released = asyncio.Event()
    assert (await rig.handle(*MIXED)).status == 503
    topic.released.set()
    await asyncio.sleep(0.01)
    assert await rig.handle(*MIXED) == ACK
    assert topic.requests == 1


async def test_event_gets_one_dead_letter_whichever_of_two_messages_brings_it() -> None:
    """The remainder went out although its publish seemed to fail, so both it and the original bring the event."""
    lost: list[OutgoingMessage] = []

    class SeemsToFail(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:  # noqa: ARG002
            lost.extend(messages)
            return "UNAVAILABLE"

    for original_first, at_once in ((True, False), (False, False), (True, True), (False, True)):
        lost.clear()
        rig = HandlerRig(FakeX(down_for_the_other_pixel), remainder=SeemsToFail())
        assert (await rig.handle(*MIXED)).status == 503
        rig.x.handler = refusing("b1")
        messages = [message(*MIXED), delivered(lost[0])]
        if not original_first:
            messages.reverse()
        if at_once:
            assert await asyncio.gather(*map(rig.handler.handle, messages)) == [ACK, ACK]
        else:
            assert [await rig.handler.handle(one) for one in messages] == [ACK, ACK]
        assert rig.reasons == ["rejected"]
        assert rig.sent.count("b2") == 3, "while X was down, beside the refused one, and by itself"


async def test_event_of_two_messages_gets_its_dead_letter_from_the_second_where_the_first_fails() -> None:
    class FailsOnce(FakePublisher):
        async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
            self.cause = None if self.requests else "UNAVAILABLE"
            await asyncio.sleep(0.01)
            return await super().publish(messages, timeout_s)

    dead_letters = FailsOnce()
    rig, topic = rig_with(down_for_the_other_pixel, publisher=dead_letters)
    await rig.handle(*MIXED)
    rig.x.handler = refusing("b1")
    messages = [delivered(topic.messages[0], f"r{n}") for n in (1, 2)]
    answers = await asyncio.gather(*map(rig.handler.handle, messages))
    assert answers == [Answer(503, "dead_letters_unavailable"), ACK]
    assert await rig.handler.handle(messages[0]) == ACK
    assert [dead_letter.attributes["xcapi_reason"] for dead_letter in dead_letters.messages] == ["rejected"]


async def test_delivery_does_not_wait_beyond_its_time_for_another_one_s_dead_letters() -> None:
    rig, topic = rig_with(down_for_the_other_pixel, settle_timeout_s=0.8, request_timeout_s=0.1)
    await rig.handle(*MIXED)
    rig.x.handler = refusing("b1")
    rig.dead_letters.released = asyncio.Event()
    messages = [delivered(topic.messages[0], f"r{n}") for n in (1, 2)]
    answers = await asyncio.wait_for(asyncio.gather(*map(rig.handler.handle, messages)), 10)
    assert answers == [Answer(503, "dead_letters_unavailable")] * 2


async def test_remainder_of_a_remainder_names_the_first_message() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    await rig.handler.handle(message({"no": "event"}, *MIXED, message_id="17"))
    first = topic.messages[0]
    assert first.attributes["xcapi_event_indices"] == "2,4"
    rig.x.handler = lambda items: failed(503) if "b2" in str(items) and len(items) == 1 else ok(len(items))
    limited, second_topic = rig_with(rate=RateSettings(events=1, window_s=900))
    assert await limited.handler.handle(delivered(first)) == ACK
    (second,) = second_topic.messages
    assert second.attributes["xcapi_message_id"] == "17"
    assert second.attributes["xcapi_event_indices"] == "4"
    assert second.attributes["xcapi_publish_time"] == PUBLISH_TIME


async def test_dead_letter_of_a_remainder_names_the_first_message() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    await rig.handler.handle(message(*MIXED, message_id="17"))
    rig.x.handler = refusing("b2")
    await rig.handler.handle(delivered(topic.messages[0]))
    (dead_letter,) = rig.dead_letters.messages
    assert dead_letter.attributes["xcapi_message_id"] == "17"
    assert dead_letter.attributes["xcapi_event_index"] == "3"
    assert dead_letter.attributes["xcapi_publish_time"] == PUBLISH_TIME


# --- replays ---


async def test_replay_starts_anew_and_its_remainder_carries_its_own_id() -> None:
    rig, topic = rig_with(refusing("a1", "b1"))
    await rig.handler.handle(message(*MIXED[:2], message_id="17"))
    dead_letters = rig.dead_letters.messages
    assert rig.reasons == ["rejected", "rejected"]
    attributes = {**dead_letters[0].attributes, "xcapi_replays": "1", "xcapi_event_indices": "0-1"}
    del attributes["xcapi_event_index"], attributes["xcapi_conversion_id"]
    data = b"[%b,%b]" % (dead_letters[0].data, dead_letters[1].data)
    replay = delivery(data, attributes, message_id="99", publish_time="2026-04-20T14:00:00Z")
    rig.x.handler = down_for_the_other_pixel
    assert await rig.handler.handle(replay) == ACK, "its first life's dead letters do not swallow it"
    (remainder,) = topic.messages
    assert remainder.attributes["xcapi_message_id"] == "99"
    assert remainder.attributes["xcapi_publish_time"] == PUBLISH_TIME
    assert remainder.attributes["xcapi_event_indices"] == "1"
    assert "xcapi_reason" not in remainder.attributes
    assert "xcapi_replays" not in remainder.attributes
    rig.x.handler = refusing("b1")
    for message_id in ("r1", "r1", "r2"):
        assert await rig.handler.handle(delivered(remainder, message_id)) == ACK
    last = rig.dead_letters.messages[2:]
    assert [one.attributes["xcapi_replays"] for one in last] == ["1"], "one dead letter, which knows of the replay"
    assert last[0].attributes["xcapi_message_id"] == "99"


async def test_replay_may_itself_be_replayed() -> None:
    rig, _ = rig_with(refusing("a1"))
    attributes = {"xcapi_reason": "rejected", "xcapi_message_id": "17", "xcapi_event_index": "0"}
    for number in (1, 2, 3):
        replay = message(event("a1"), message_id=f"replay-{number}", attributes=attributes | {"xcapi_replays": "1"})
        assert await rig.handler.handle(replay) == ACK
    assert rig.reasons == ["rejected"] * 3


# --- what a remainder holds ---


async def test_events_are_shared_out_by_500_and_megabytes_in_one_publish_request() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    waiting = [event(f"b{number}", pixel_id=OTHER_PIXEL) for number in range(1_700)]
    large = [event(f"l{number}", pixel_id=OTHER_PIXEL, note="x" * 300_000) for number in range(5)]
    assert await rig.handle(event("a1"), *waiting, *large) == ACK
    counts = [len(json.loads(remainder.data)) for remainder in topic.messages]
    assert max(counts) <= 500
    assert sum(counts) == 1_705
    assert max(len(remainder.data) for remainder in topic.messages) <= 1_000_000
    assert topic.requests == 1
    indices = [index for remainder in topic.messages for index in original_event_indices(delivered(remainder)) or ()]
    assert indices == list(range(1, 1_706))


async def test_scattered_indices_go_on_in_further_attributes() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    events = [event(f"c{n}", pixel_id=OTHER_PIXEL) if n % 2 else event(f"c{n}", consent=False) for n in range(2_000)]
    assert await rig.handle(*events) == ACK
    assert len(topic.messages) == 2
    for remainder in topic.messages:
        assert "xcapi_event_indices_2" in remainder.attributes
        assert max(len(value) for value in remainder.attributes.values()) <= 1_024
    indices = [index for remainder in topic.messages for index in original_event_indices(delivered(remainder)) or ()]
    assert indices == list(range(1, 2_000, 2))


async def test_derived_conversion_ids_are_kept() -> None:
    def bare(number: int) -> dict[str, object]:
        return {"event_id": f"tw-{OTHER_PIXEL}-o8z21", "pixel_id": OTHER_PIXEL, "twclid": f"click-{number}"}

    rig, topic = rig_with(down_for_the_other_pixel)
    assert await rig.handle(event("a1"), *(bare(number) for number in range(3))) == ACK
    before = next(request for request in rig.x.requests if "a1" not in request)
    later, _ = rig_with()
    assert await later.handler.handle(delivered(topic.messages[0])) == ACK
    assert later.sent == before


async def test_suspects_go_in_messages_of_their_own_and_stay_suspect(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, topic = rig_with()
    batcher = rig.handler._batchers[OTHER_PIXEL]
    submitted: list[bool] = []
    outcomes = iter([Deferred(nack_status=503, cause="searching", suspect=True), Deferred(nack_status=429, cause="x")])

    def submit(conversions: Sequence[Waiting]) -> None:
        for waiting in conversions:
            submitted.append(waiting.suspect)
            waiting.end(next(outcomes, Deferred(nack_status=429, cause="rate_limited")))

    monkeypatch.setattr(batcher, "submit", submit)
    assert await rig.handle(*MIXED) == ACK
    by_suspicion = {
        remainder.attributes.get("xcapi_suspect"): remainder.attributes["xcapi_event_indices"]
        for remainder in topic.messages
    }
    assert by_suspicion == {None: "3", "true": "1"}
    suspect = next(one for one in topic.messages if "xcapi_suspect" in one.attributes)
    data = b"[%b,%b]" % (suspect.data, json.dumps({"no": "event"}).encode())
    again = delivery(data, {**suspect.attributes, "xcapi_event_indices": "1,7"}, message_id="r")
    assert await rig.handler.handle(again) == ACK
    assert submitted == [False, False, True]
    assert topic.messages[-1].attributes["xcapi_suspect"] == "true", "nobody has judged it yet"


async def test_attributes_that_pubsub_reserves_are_kept_under_names_of_ours() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    attributes = {
        "googclient_schemaencoding": "JSON",
        "googclient_schemarevisionid": "r1",
        "xcapi_conversion_id": "of-one-event",
        "k" * 300: "too long",
        **{f"key{number}": "v" for number in range(100)},
    }
    assert await rig.handler.handle(message(*MIXED, attributes=attributes)) == ACK
    kept = topic.messages[0].attributes
    assert kept["xcapi_schema_encoding"] == "JSON"
    assert kept["xcapi_schema_revision_id"] == "r1"
    assert "xcapi_conversion_id" not in kept
    assert len(kept) == 100
    assert not [key for key in kept if key.startswith("goog") or len(key) > 256]
    assert int(kept["xcapi_attributes_dropped"]) == len(attributes) - 1 - (100 - 4)


async def test_format_is_named_where_the_events_alone_would_be_taken_for_another() -> None:
    rig, topic = rig_with(down_for_the_other_pixel)
    like_ga4 = event("b1", pixel_id=OTHER_PIXEL, client_id="1.2")
    assert await rig.handle(event("a1"), like_ga4) == ACK
    assert topic.messages[0].attributes["format"] == "x"
    rig.x.handler = refusing()
    assert await rig.handler.handle(delivered(topic.messages[0])) == ACK
    assert rig.sent[-1] == "b1"


@pytest.mark.parametrize("dialect", ["ga4", "segment"])
async def test_events_keep_their_envelope(dialect: str) -> None:
    rig, topic = rig_with(rate=RateSettings(events=2, window_s=900))
    bodies: dict[str, dict[str, object]] = {
        "ga4": {
            "client_id": "1.2",
            "user_data": {"sha256_email_address": "a" * 64},
            "events": [{"name": "purchase", "params": {"transaction_id": f"t{number}"}} for number in range(5)],
        },
        "segment": {
            "batch": [
                {
                    "type": "track",
                    "event": "Order Completed",
                    "messageId": f"t{number}",
                    "properties": {"order_id": f"t{number}"},
                    "context": {"traits": {"email": "nobody@example.com"}},
                }
                for number in range(5)
            ],
            "sentAt": "2026-04-20T12:00:00Z",
        },
    }
    assert await rig.handler.handle(message(data=json.dumps(bodies[dialect]).encode())) == ACK
    (remainder,) = topic.messages
    read = read_events(
        delivered(remainder), rig.settings, received_at=datetime(2026, 4, 20, 12, 35, tzinfo=UTC), settled=()
    )
    assert [getattr(one.result, "conversion_id", one) for one in read if not isinstance(one, int)] == ["t2", "t3", "t4"]


async def test_nothing_of_a_person_is_logged_when_events_are_handed_over(capfd: pytest.CaptureFixture[str]) -> None:
    rig, _ = rig_with(down_for_the_other_pixel)
    await rig.handle(event("a1", email="nobody@example.com"), event("b1", pixel_id=OTHER_PIXEL, email="b@example.com"))
    lines = logged(capfd)
    assert {"remainder.published", "delivery.settled"} <= {line["event"] for line in lines}
    assert "example.com" not in json.dumps(lines)


# --- shutdown ---


async def test_at_a_shutdown_what_is_partly_settled_is_handed_over_and_what_is_not_is_nacked() -> None:
    release = asyncio.Event()

    class Slow(FakeX):
        async def post(self, *args: Any) -> Any:
            await release.wait()
            return await super().post(*args)

    topic = FakePublisher()
    batch = BatchSettings(max_conversions=2, max_in_flight=1)
    rig = HandlerRig(Slow(), remainder=topic, batch=batch)
    partly = asyncio.create_task(rig.handler.handle(message(*(event(f"a{n}") for n in range(4)), message_id="1")))
    await asyncio.sleep(0.01)
    untouched = asyncio.create_task(rig.handler.handle(message(event("b1"), event("b2"), message_id="2")))
    await asyncio.sleep(0.01)
    rig.handler.stop()
    assert await untouched == Answer(503, "shutting_down")
    release.set()
    assert await partly == ACK
    assert len(rig.sent) == 2
    assert [len(remainder.event_indices) for remainder in topic.messages] == [2]


# --- age ---


AGES: dict[str, tuple[dict[str, str], str, float | None]] = {
    "message": ({}, "2026-04-20T12:34:00Z", 60),
    "remainder": ({"xcapi_publish_time": "2026-04-20T12:00:00Z"}, "2026-04-20T12:34:00Z", 2_100),
    "replay": (
        {"xcapi_publish_time": "2026-04-01T12:00:00Z", "xcapi_reason": "rejected"},
        "2026-04-20T12:34:00Z",
        60,
    ),
    "remainder of a replay": (
        {"xcapi_publish_time": "2026-04-01T12:00:00Z", "xcapi_replay_publish_time": "2026-04-20T12:33:00Z"},
        "2026-04-20T12:34:00Z",
        120,
    ),
    "from the future": ({}, "2026-04-20T12:36:00Z", 0),
    "without a time": ({}, "", None),
}


@pytest.mark.parametrize(("attributes", "publish_time", "age_s"), AGES.values(), ids=AGES.keys())
@pytest.mark.parametrize("answer", [lambda items: ok(len(items)), lambda _: failed(503), refusing("c1")])
async def test_age_of_the_oldest_event_is_logged_by_its_first_publish_time(
    attributes: dict[str, str],
    publish_time: str,
    age_s: float | None,
    answer: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    rig, _ = rig_with(answer)
    one = delivery(json.dumps([event("c1")]).encode(), attributes, publish_time=publish_time)
    await rig.handler.handle(one)
    await asyncio.sleep(0)
    assert summary(capfd).get("oldest_event_age_s") == age_s
