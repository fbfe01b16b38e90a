"""HTTP request → PubsubMessage: push envelopes and CloudEvents, and what the rest needs to know of a message."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, TypeVar

import msgspec

from xcapi_core.records import Record

__all__ = [
    "NotADelivery",
    "PubsubMessage",
    "delivery_key",
    "original_event_indices",
    "original_publish_time",
    "parse_publish_time",
    "read_delivery",
    "replayed_conversion_id",
]

# RFC 3339 section 5.6. Pub/Sub writes up to nine digits of a second.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# Attributes that carry the first publish time of a message that comes back: ours, and what Pub/Sub itself adds to
# what it forwards to a dead-letter topic.
_ORIGINAL_PUBLISH_TIME = ("xcapi_publish_time", "CloudPubSubDeadLetterSourceTopicPublishTime")
_CONVERSION_ID = "xcapi_conversion_id"


# Pub/Sub's are digits; the emulator's, and a test's, have letters too.
_MESSAGE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


_INDICES = re.compile(r"[0-9]{1,7}(?:-[0-9]{1,7})?(?:,[0-9]{1,7}(?:-[0-9]{1,7})?)*")
_MOST_INDICES = 1_000_000


class NotADelivery(Exception):  # noqa: N818 - it says what the request is not; the answer is 400
    """The request is no Pub/Sub delivery. `reason` is fit for an answer and a log: it quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PubsubMessage(Record, frozen=True, kw_only=True, gc=False):
    """One Pub/Sub delivery, as the push envelope or a CloudEvent carried it.

    `publish_time` is the RFC 3339 text as received, "" when the envelope had none; `delivery_attempt` is None
    where Pub/Sub did not say.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "message_id",
        "publish_time",
        "subscription",
        "ordering_key",
        "delivery_attempt",
    )

    message_id: str
    publish_time: str
    data: bytes
    attributes: Mapping[str, str]
    subscription: str
    ordering_key: str
    delivery_attempt: int | None

    @property
    def loggable_id(self) -> str:
        """The message's id where it looks like Pub/Sub's, "" where whoever called made one up."""
        return self.message_id if _MESSAGE_ID.fullmatch(self.message_id) else ""


class _Message(msgspec.Struct):
    """Pub/Sub's PubsubMessage in JSON. Push sends some names in both spellings."""

    data: bytes | None = None
    attributes: dict[str, str] | None = None
    message_id: str | None = msgspec.field(name="messageId", default=None)
    message_id_twin: str | None = msgspec.field(name="message_id", default=None)
    publish_time: str | None = msgspec.field(name="publishTime", default=None)
    publish_time_twin: str | None = msgspec.field(name="publish_time", default=None)
    ordering_key: str | None = msgspec.field(name="orderingKey", default=None)
    ordering_key_twin: str | None = msgspec.field(name="ordering_key", default=None)


_Body = TypeVar("_Body")
_Attempt = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Envelope(msgspec.Struct):
    """The body of a push request, which is also the `data` of a CloudEvent."""

    message: _Message
    subscription: str | None = None
    delivery_attempt: _Attempt | None = msgspec.field(name="deliveryAttempt", default=None)
    delivery_attempt_twin: _Attempt | None = msgspec.field(name="delivery_attempt", default=None)


class _StructuredEvent(msgspec.Struct):
    """A CloudEvent in structured mode (CloudEvents JSON format, section 3.1): the envelope is one of its members."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: bytes | None = None


_envelopes = msgspec.json.Decoder(_Envelope)
_structured_events = msgspec.json.Decoder(_StructuredEvent)


def read_delivery(headers: Mapping[str, str], body: bytes | bytearray) -> PubsubMessage:
    """Return the message of a push request, or of a CloudEvent in binary or structured mode.

    `headers` has lower-case keys. A CloudEvent in binary mode is a push envelope with headers of its own, so that only
    structured mode is told apart. Raises NotADelivery.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/cloudevents+json":
        event = _decode(_structured_events, body, "CloudEvent")
        body = event.data_base64 if event.data_base64 is not None else bytes(event.data)
    return _message(_decode(_envelopes, body, "Pub/Sub push envelope"))


def original_publish_time(message: PubsubMessage) -> str:
    """Return when the message was published first, which a redelivery and a replayed dead letter keep.

    In one form (UTC, milliseconds), because derived conversion ids are made of it and Pub/Sub writes the same instant
    differently in an envelope and in a dead letter's attribute. A time that cannot be read is returned as received.
    """
    for name in _ORIGINAL_PUBLISH_TIME:
        time = parse_publish_time(message.attributes.get(name, ""))
        if time is not None:
            return _canonical(time)
    time = parse_publish_time(message.publish_time)
    return message.publish_time if time is None else _canonical(time)


def replayed_conversion_id(message: PubsubMessage) -> str | None:
    """Return the conversion id that a replayed dead letter brings along. It belongs to a message of one event."""
    return message.attributes.get(_CONVERSION_ID) or None


def original_event_indices(message: PubsubMessage) -> tuple[int, ...] | None:
    """Return where the events of a dead letter stood in the message that they came in; None if it does not say.

    Read from `xcapi_event_index`, or `xcapi_event_indices` ("0-3,7") where events share a letter.
    """
    text = message.attributes.get("xcapi_event_indices") or message.attributes.get("xcapi_event_index", "")
    if not _INDICES.fullmatch(text):
        return None
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) - int(first) > _MOST_INDICES:
            return None
        indices.extend(range(int(first), int(last or first) + 1))
    return tuple(indices)


def parse_publish_time(text: str) -> datetime | None:
    """Return an RFC 3339 time in UTC, cut to microseconds, or None."""
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # a 13th month; the year 1 in another zone
        return None


def delivery_key(message: PubsubMessage) -> bytes | None:
    """Return what a duplicate of a delivery still in progress is recognised by; None for a message without an id.

    The content is part of it, so that a request with a made-up id cannot be answered for another message.
    """
    if not message.message_id:
        return None
    # No two lists of parts print alike, and what cannot be encoded is escaped.
    parts = (message.subscription, message.message_id, sorted(message.attributes.items()), len(message.data))
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    digest.update(message.data)
    return digest.digest()


def _canonical(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(envelope: _Envelope) -> PubsubMessage:
    message = envelope.message
    attempt = envelope.delivery_attempt
    return PubsubMessage(
        message_id=message.message_id or message.message_id_twin or "",
        publish_time=message.publish_time or message.publish_time_twin or "",
        data=message.data or b"",
        attributes=message.attributes or {},
        subscription=envelope.subscription or "",
        ordering_key=message.ordering_key or message.ordering_key_twin or "",
        delivery_attempt=envelope.delivery_attempt_twin if attempt is None else attempt,
    )


def _decode(decoder: msgspec.json.Decoder[_Body], body: bytes | bytearray, name: str) -> _Body:
    """Decode, and say what is wrong with msgspec's words: they name types, places and field names, never values."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise NotADelivery(f"the body is no {name}: {error}") from None
    except msgspec.DecodeError:
        raise NotADelivery("the body is no JSON") from None
    except UnicodeDecodeError:
        raise NotADelivery("the body is no UTF-8") from None
    except RecursionError:
        raise NotADelivery("the body is nested too deeply") from None
