"""An HTTP request → the whole path: read, batch, send, bisect, dead-letter, hand over, ack; then what comes again."""

import base64
import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from tests.fakes import FakePublisher, delivery, failed, ok
from tests.fuzz.inputs import chosen, joined, parted, texts
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.planted import assert_discreet, shows_planted
from tests.fuzz.targets.reading import NAMES, RECEIVED, VALUES, assert_x_takes, case_events
from tests.handling import HandlerRig
from tests.virtual_time import VirtualLoop
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.ledger import Ledger
from xcapi_core.origins import original_event_indices
from xcapi_core.outcomes import Skipped
from xcapi_core.pubsub import NotADelivery, PubsubMessage, read_delivery
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure

__all__ = ["Deliveries"]

_WRAPS = ("push", "binary", "structured", "base64", "raw", "raw structured")
# What X does at first; "judging" ones do it for ever, the others recover before the message comes back.
_MOODS = (
    *("ok", "some", "some unnamed", "all", "429", "429 soon", "503", "503 now and then"),
    *("401", "short", "html", "drop", "late"),
)
_STEADY = frozenset({"ok", "some", "some unnamed", "all"})
# Where X may hold what it does not own up to, a second sending is nobody's mistake.
_UNCLEAR = frozenset({"late"})
_TOPIC_MOODS = ("up", "down")
# With batches of one, part of a message is settled and the other must wait.
_BATCHES = (500, 1)
_DRY = (False, True)
_REPEATED = (False, True)
_CONSENT = ("respect", "require", "ignore")
_ATTRIBUTES: tuple[dict[str, str], ...] = (
    {},
    {"format": "x"},
    {"format": "ga4"},
    {"format": "nonsense"},
    {"pixel_id": "p2q7x"},
    {"xcapi_conversion_id": "A-1", "xcapi_event_index": "3", "xcapi_publish_time": "2026-04-20T12:00:00Z"},
    {"googclient_x": "1", "": "2", "é" * 200: "3", "k": "é" * 900},
    {f"k{number}": "v" for number in range(100)},
)
_MESSAGE_IDS = ("1", "", "é", "1" * 100)
# Pub/Sub, "Quotas and limits".
_MAX_ATTRIBUTES = 100
_MAX_KEY_BYTES = 256
_MAX_VALUE_BYTES = 1_024
_MAX_REQUEST_BYTES = 10_000_000
_SETTLE_TIMEOUT_S = 50.0
_MOST_REDELIVERIES = 16
_MOST_REMAINDERS = 64
# Two of them end every pause; after an hour the instance forgets what it knows of a message.
_HALF_AN_HOUR_S = 1_850.0
_EVENT_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
_HEADERS: Mapping[str, Mapping[str, str]] = {
    "binary": {"content-type": "application/json", "ce-type": _EVENT_TYPE},
    "structured": {"content-type": "application/cloudevents+json; charset=utf-8"},
    "base64": {"content-type": "application/cloudevents+json"},
    "raw structured": {"content-type": "application/cloudevents+json"},
}


class _X:
    """X with a mood; keeps account of the conversions that it took."""

    def __init__(self, mood: str) -> None:
        self.mood = mood
        self.taken: Counter[tuple[str, str, str]] = Counter()
        self.requests = 0

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Answer as the mood is."""
        self.requests += 1
        assert credentials is not None
        assert timeout_s > 0
        assert_discreet("the repr of a request", repr(request))
        conversions = msgspec.json.decode(request.body)["conversions"]
        assert len(conversions) == request.conversions <= 500, "a request of another size"
        pixel_id = request.url.rpartition("/")[2]
        match self.mood:
            case "some" | "some unnamed" | "all":
                bad = [item for item in conversions if self._minds(item)]
                if bad:
                    return failed(400, *(self._words_for(item) for item in bad))
            case "429":
                return failed(429, {"code": "TOO_MANY_REQUESTS"})
            case "429 soon":
                return failed(429, {"code": "TOO_MANY_REQUESTS"}, retry_after="20")
            case "503":
                return failed(503)
            case "503 now and then" if self.requests % 2 == 0:
                return failed(503)
            case "401":
                return failed(401, {"code": "UNAUTHORIZED_ACCESS", "message": "This request is not authenticated"})
            case "short":
                return ok(len(conversions) + 1)
            case "html":
                return HttpResponse(status=200, headers={}, body=b"<html>a proxy's page</html>")
            case "drop":
                return TransportFailure("connection")
            case _:
                pass
        self.taken.update(_identity(pixel_id, item) for item in conversions)
        return TransportFailure("timeout") if self.mood == "late" else ok(len(conversions))

    def _minds(self, conversion: Mapping[str, Any]) -> bool:
        return self.mood == "all" or sum(map(ord, conversion["conversion_id"])) % 3 == 0

    def _words_for(self, conversion: Mapping[str, Any]) -> dict[str, str]:
        if self.mood == "some unnamed":
            return {"code": "INVALID_PARAMETER", "message": "At least one user identifier must be provided"}
        message = f"conversion_id ({conversion['conversion_id']}) is no good"
        return {"code": "INVALID_PARAMETER", "message": message, "parameter": "conversion_id"}


class Deliveries:
    """Delivers one request, and again until it is acked."""

    name = "deliveries"
    words = Words(
        names=(
            *NAMES,
            *("message", "data", "attributes", "messageId", "message_id", "publishTime", "publish_time", "orderingKey"),
            *("subscription", "deliveryAttempt", "delivery_attempt", "data_base64", "specversion"),
        ),
        values=(*VALUES, "eyJldmVudCI6InB1cmNoYXNlIiwidHdjbGlkIjoiYyJ9", "e30=", "W10=", "_w=="),
        head={
            "wrap": _WRAPS,
            "x": _MOODS,
            "dead_letters": _TOPIC_MOODS,
            "remainder": _TOPIC_MOODS,
            "batch": _BATCHES,
            "dry": _DRY,
            "repeated": _REPEATED,
            "consent": _CONSENT,
            "attributes": _ATTRIBUTES,
            "message_id": _MESSAGE_IDS,
        },
        longest=1_024,
    )

    def __init__(self) -> None:
        self._loop = VirtualLoop()
        self._facts: set[str] = set()

    def seeds(self) -> list[bytes]:
        """Return groups of the case tables' events in every wrapping, and envelopes in the raw."""
        events = list(case_events())
        groups = [events[start : start + 2] for start in range(0, len(events), 2)]
        heads = [{"wrap": wrap, "x": mood, "repeated": wrap == "push"} for wrap in _WRAPS[:4] for mood in _MOODS]
        seeds = [joined(heads[at % len(heads)], msgspec.json.encode(group)) for at, group in enumerate(groups)]
        purchase = {"event": "purchase", "twclid": "c1", "order_id": "A-1"}
        seeds += [joined(head, msgspec.json.encode([purchase, purchase, {"event": "sign_up"}])) for head in heads]
        several = [{"event": "purchase", "twclid": f"c{number}", "order_id": f"A-{number}"} for number in range(5)]
        in_part = {"x": "503 now and then", "batch": 1, "repeated": True}
        seeds += [
            joined({**in_part, "remainder": topic}, msgspec.json.encode([*several, "no event"]))
            for topic in _TOPIC_MOODS
        ]
        message = {"data": "eyJldmVudCI6InB1cmNoYXNlIiwidHdjbGlkIjoiYyJ9", "attributes": {"a": "b"}, "messageId": "1"}
        envelope = {"message": message, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 3}
        encoded = msgspec.json.encode(envelope)
        structured = {"specversion": "1.0", "type": _EVENT_TYPE, "data": envelope}
        in_base64 = {"specversion": "1.0", "type": _EVENT_TYPE, "data_base64": base64.b64encode(encoded).decode()}
        raws = [joined({"wrap": "raw structured"}, msgspec.json.encode(event)) for event in (structured, in_base64)]
        return [*seeds, *raws, joined({"wrap": "raw"}, encoded), joined({"wrap": "raw"}, b"")]

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Deliver it: a documented status in time, and at the end an account that balances."""
        head, body = parted(data)
        wrap = chosen(head, "wrap", _WRAPS)
        try:
            message = read_delivery(
                _HEADERS.get(wrap, {"content-type": "application/json"}), _request_body(head, wrap, body)
            )
        except NotADelivery as error:
            assert_discreet("a refusal", error.reason)
            return error.reason.partition(":")[0]
        if shows_planted(message.message_id):
            # Pub/Sub makes the ids, which are logged; chance has put a planted word where no publisher can.
            message = msgspec.structs.replace(message, message_id="17")
        x = _X(chosen(head, "x", _MOODS))
        remainders = FakePublisher()
        rig = HandlerRig(
            transport=x,
            remainder=remainders,
            batch=BatchSettings(max_conversions=chosen(head, "batch", _BATCHES)),
            ledger=Ledger(capacity=256),
            clock=self._loop.time,
            dry_run=chosen(head, "dry", _DRY),
            consent=chosen(head, "consent", _CONSENT),
            default_phone_region="GB",
        )
        if chosen(head, "dead_letters", _TOPIC_MOODS) == "down":
            rig.dead_letters.cause = "UNAVAILABLE"
        if chosen(head, "remainder", _TOPIC_MOODS) == "down":
            remainders.cause = "UNAVAILABLE"
        mood = x.mood
        self._facts.clear()
        messages, answers = [message], list[Answer]()
        for number, one in enumerate(messages):
            assert number <= _MOST_REMAINDERS, "remainders without end"
            answers += self._until_acked(rig, remainders, one, x, log)
            messages += [_pushed(remainder, at) for at, remainder in enumerate(remainders.messages, len(messages))]
            for remainder in remainders.messages:
                _assert_publishable(remainder)
            remainders.messages.clear()
        if message.message_id or len(answers) == len(messages):
            _assert_account(rig, messages, x, unclear=mood in _UNCLEAR)
            if chosen(head, "repeated", _REPEATED):
                self._repeat(rig, remainders, messages, x, log)
        return mood, len(messages) > 1, *(answer.cause or answer.status for answer in answers), *sorted(self._facts)

    def _until_acked(
        self, rig: HandlerRig, remainders: FakePublisher, message: PubsubMessage, x: _X, log: LogTap
    ) -> list[Answer]:
        answers = [self._deliver(rig, message, log)]
        while not answers[-1].is_ack:
            assert len(answers) <= _MOST_REDELIVERIES, f"never acked: {answers}"
            self._loop.advance(_HALF_AN_HOUR_S)
            rig.dead_letters.cause = remainders.cause = None
            x.mood = x.mood if x.mood in _STEADY else "ok"
            answers.append(self._deliver(rig, message, log))
        return answers

    def _repeat(
        self, rig: HandlerRig, remainders: FakePublisher, messages: Sequence[PubsubMessage], x: _X, log: LogTap
    ) -> None:
        """Deliver once more what was acked: Pub/Sub does so, at least once is its promise."""
        before = x.requests, len(rig.dead_letters.messages), len(remainders.messages)
        for message in messages:
            assert self._deliver(rig, message, log).is_ack, "what was settled is nacked"
            if message.message_id:
                after = x.requests, len(rig.dead_letters.messages), len(remainders.messages)
                assert after == before, "a duplicate is sent, dead-lettered or handed over again"

    def _deliver(self, rig: HandlerRig, message: PubsubMessage, log: LogTap) -> Answer:
        started = self._loop.time()
        answer = self._loop.run(rig.handler.handle(message))
        assert answer.status in (204, 429, 503), f"a status that is not documented: {answer.status}"
        assert self._loop.time() - started <= _SETTLE_TIMEOUT_S + 1, "open longer than settle_timeout_s"
        for line in log.lines():
            assert line["event"] != "batcher.crashed"
            if line["event"].startswith("delivery."):
                self._facts.update(line)
        return answer


def _request_body(head: Mapping[str, object], wrap: str, body: bytes) -> bytes:
    if wrap.startswith("raw"):
        return body
    message = {
        "data": base64.b64encode(body).decode(),
        "attributes": texts(head, "attributes"),
        "messageId": chosen(head, "message_id", _MESSAGE_IDS),
        "publishTime": "2026-04-20T12:34:56.789Z",
    }
    envelope = {"message": message, "subscription": "projects/p/subscriptions/s"}
    if wrap == "structured":
        return json.dumps({"specversion": "1.0", "type": _EVENT_TYPE, "data": envelope}).encode()
    if wrap == "base64":
        return json.dumps(
            {
                "specversion": "1.0",
                "type": _EVENT_TYPE,
                "data_base64": base64.b64encode(json.dumps(envelope).encode()).decode(),
            }
        ).encode()
    return json.dumps(envelope).encode()


def _identity(pixel_id: str, sent: Mapping[str, Any]) -> tuple[str, str, str]:
    return pixel_id, sent["event_id"].removeprefix(f"tw-{pixel_id}-"), sent["conversion_id"]


def _pushed(remainder: OutgoingMessage, number: int) -> PubsubMessage:
    """Return a remainder as its subscription pushes it."""
    return delivery(
        remainder.data,
        dict(remainder.attributes),
        message_id=f"remainder-{number}",
        publish_time="2026-04-20T13:00:00Z",
        subscription="projects/p/subscriptions/remainder",
    )


def _assert_account(rig: HandlerRig, messages: Sequence[PubsubMessage], x: _X, *, unclear: bool) -> None:
    """Every event is with X, in a dead letter or skipped, and nothing is there twice; `messages[0]` is the first."""
    message = messages[0]
    dead_letters = rig.dead_letters.messages
    events = list(read_events(message, rig.settings, received_at=RECEIVED, settled=frozenset()))
    # An event with an envelope has it around it, and nothing else of what the message holds; data that is the text of
    # JSON, or compressed, is opened first.
    is_packed = message.data.lstrip().startswith((b'"', b"\x1f\x8b"))
    is_verbatim = not is_packed and all(isinstance(event, ReadEvent) and event.envelope is None for event in events)
    for dead_letter in dead_letters:
        _assert_publishable(dead_letter)
        assert not is_verbatim or dead_letter.data in message.data, "a dead letter's data is not the message's"
    mailed = Counter(index for dead_letter in dead_letters for index in _first_indices(dead_letter))
    whole = [dead_letter for dead_letter in dead_letters if not dead_letter.event_indices]
    assert max(mailed.values(), default=1) == 1, "two dead letters for one event"
    assert len(whole) <= 1, "two dead letters for one message"
    if not unclear:
        assert max(x.taken.values(), default=1) == 1, "X took one conversion twice"
    named = original_event_indices(message)
    places = named if named is not None and len(named) == len(events) else range(len(events))
    expected: set[int] = set()
    for event in events:
        assert isinstance(event, ReadEvent)
        if event.event_index is None:
            if isinstance(event.result, Skipped):  # the object around events that cannot be told apart says no
                assert not dead_letters, "a refusal in a dead letter"
                return
            assert whole, "an unreadable message without a dead letter"
            assert whole[0].data == message.data, "an unreadable message's dead_letter has other data"
            return
        if isinstance(event.result, Conversion):
            assert_x_takes(event.result)
            if rig.settings.dry_run:
                continue
            is_taken = x.taken[event.result.identity] > 0
            assert is_taken or places[event.event_index] in mailed, "a conversion is lost"
            if places[event.event_index] in mailed:
                expected.add(places[event.event_index])
        elif not isinstance(event.result, Skipped):
            expected.add(places[event.event_index])
    assert not whole, "a dead letter for a whole message that was read"
    assert expected == set(mailed), "an event that needs a dead letter has none, or the other way round"


def _first_indices(dead_letter: OutgoingMessage) -> Sequence[int]:
    """Return where a dead letter's events stood in the first message, whichever message brought them."""
    if not dead_letter.event_indices:
        return ()
    index = dead_letter.attributes.get("xcapi_event_index")
    named = original_event_indices(delivery(b"", dict(dead_letter.attributes))) if index is None else (int(index),)
    return dead_letter.event_indices if named is None else named


def _assert_publishable(dead_letter: OutgoingMessage) -> None:
    """Hold a dead letter to Pub/Sub's limits, which neither the emulator nor a fake has."""
    assert dead_letter.data or dead_letter.attributes, "an empty dead_letter"
    assert dead_letter.size_bytes <= _MAX_REQUEST_BYTES
    assert len(dead_letter.attributes) <= _MAX_ATTRIBUTES
    for key, value in dead_letter.attributes.items():
        assert 0 < len(key.encode()) <= _MAX_KEY_BYTES, "a key that Pub/Sub refuses"
        assert not key.startswith("goog"), "a key that Pub/Sub reserves"
        assert len(value.encode()) <= _MAX_VALUE_BYTES, "a value that Pub/Sub refuses"
