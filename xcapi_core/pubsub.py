"""HTTP request → PubsubMessage: envelopes, unwrapped push and CloudEvents, and what a duplicate of one is known by."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar

import msgspec

from xcapi_core.records import Record

__all__ = [
    "NotADelivery",
    "PubsubMessage",
    "delivery_key",
    "read_delivery",
]

# Pub/Sub's are digits; the emulator's, and a test's, may be any word.
_MESSAGE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


# Google's own, whether Eventarc or a trigger sends it.
_PUBLISHED_EVENT = "google.cloud.pubsub.topic.v1.messagePublished"

# Unwrapped push: attributes arrive as plain headers, among those of the request. Only these are taken for attributes:
# whatever else is there (the push token, addresses of proxies) must not reach a dead letter.
_UNWRAPPED = "x-goog-pubsub-message-id"
_ATTRIBUTE_HEADERS = frozenset({"format", "pixel_id"})
_ATTRIBUTE_HEADER_PREFIXES = ("xcapi_", "googclient_", "cloudpubsubdeadletter")
# Header names have no case; these attributes do.
_CASED = {
    name.lower(): name
    for name in (
        "CloudPubSubDeadLetterSourceDeliveryCount",
        "CloudPubSubDeadLetterSourceSubscription",
        "CloudPubSubDeadLetterSourceSubscriptionProject",
        "CloudPubSubDeadLetterSourceTopicPublishTime",
    )
}
_UNWRAPPED_HINT = "an unwrapped push (no_wrapper) needs write_metadata"


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
        """The message's id where it looks like Pub/Sub's; "" for any other, which a caller can choose."""
        return self.message_id if _MESSAGE_ID.fullmatch(self.message_id) else ""


class _Message(msgspec.Struct):
    """Pub/Sub's PubsubMessage in JSON. Push sends some names in both spellings."""

    data: bytes | None = None
    attributes: dict[str, str] | None = None
    message_id: str | None = msgspec.field(name="messageId", default=None)
    message_id_snake: str | None = msgspec.field(name="message_id", default=None)
    publish_time: str | None = msgspec.field(name="publishTime", default=None)
    publish_time_snake: str | None = msgspec.field(name="publish_time", default=None)
    ordering_key: str | None = msgspec.field(name="orderingKey", default=None)
    ordering_key_snake: str | None = msgspec.field(name="ordering_key", default=None)


_Body = TypeVar("_Body")
_AttemptNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Envelope(msgspec.Struct):
    """The body of a push request, which is also the `data` of a CloudEvent."""

    message: _Message
    subscription: str | None = None
    delivery_attempt: _AttemptNumber | None = msgspec.field(name="deliveryAttempt", default=None)
    delivery_attempt_snake: _AttemptNumber | None = msgspec.field(name="delivery_attempt", default=None)


class _StructuredEvent(msgspec.Struct):
    """A CloudEvent in structured mode (CloudEvents JSON format, section 3.1): the envelope is one of its members."""

    type: object = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: bytes | None = None


_envelopes = msgspec.json.Decoder(_Envelope)
_structured_events = msgspec.json.Decoder(_StructuredEvent)


def read_delivery(headers: Mapping[str, str], body: bytes | bytearray) -> PubsubMessage:
    """Return the message of a push request, unwrapped or not, or of a CloudEvent in binary or structured mode.

    `headers` has lower-case keys, its values are bytes read as Latin-1. Raises NotADelivery.
    Source: Pub/Sub, "Payload unwrapping"; CloudEvents, "HTTP protocol binding".
    """
    if _UNWRAPPED in headers:
        return _unwrapped_message(headers, body)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/cloudevents+json":
        event = _decode_body(_structured_events, body, "CloudEvent")
        _check_type(event.type)
        body = event.data_base64 if event.data_base64 is not None else bytes(event.data)
        return _message(_decode_body(_envelopes, body, "Pub/Sub push envelope"))
    if "ce-type" in headers or "ce-specversion" in headers:
        _check_type(headers.get("ce-type"))
    return _message(_decode_body(_envelopes, body, "Pub/Sub push envelope", _UNWRAPPED_HINT))


def delivery_key(message: PubsubMessage) -> int | None:
    """Return what a duplicate of a delivery is recognised by in this process; None for a message without an id.

    The content is part of it, so that a request with a made-up id cannot be answered for another message: Python's
    hashes of text and bytes are keyed afresh in each process, so nobody can aim at another's.
    """
    if not message.message_id:
        return None
    attributes = frozenset(message.attributes.items())
    return hash((message.subscription, message.message_id, message.data, attributes))


def _check_type(event_type: object) -> None:
    if event_type != _PUBLISHED_EVENT:
        raise NotADelivery(f"the CloudEvent's type is not {_PUBLISHED_EVENT}")


def _unwrapped_message(headers: Mapping[str, str], body: bytes | bytearray) -> PubsubMessage:
    return PubsubMessage(
        message_id=headers[_UNWRAPPED],
        publish_time=headers.get("x-goog-pubsub-publish-time", ""),
        data=bytes(body),
        attributes={
            _CASED.get(name, name): _header_text(value)
            for name, value in headers.items()
            if name in _ATTRIBUTE_HEADERS or name.startswith(_ATTRIBUTE_HEADER_PREFIXES)
        },
        subscription=headers.get("x-goog-pubsub-subscription-name", ""),
        ordering_key="",
        delivery_attempt=None,
    )


def _header_text(value: str) -> str:
    """Return an attribute's text, which is UTF-8 where it came as an attribute."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _message(envelope: _Envelope) -> PubsubMessage:
    message = envelope.message
    message_id = message.message_id if message.message_id is not None else message.message_id_snake
    if message.data is None and message.attributes is None and message_id is None:
        # An event that has an object `message` in it, for example: an ack would lose it.
        raise NotADelivery(f"the body's message has neither data nor attributes nor messageId; {_UNWRAPPED_HINT}")
    attempt = envelope.delivery_attempt
    return PubsubMessage(
        message_id=message_id or message.message_id_snake or "",
        publish_time=message.publish_time or message.publish_time_snake or "",
        data=message.data or b"",
        attributes=message.attributes or {},
        subscription=envelope.subscription or "",
        ordering_key=message.ordering_key or message.ordering_key_snake or "",
        delivery_attempt=envelope.delivery_attempt_snake if attempt is None else attempt,
    )


def _decode_body(decoder: msgspec.json.Decoder[_Body], body: bytes | bytearray, name: str, hint: str = "") -> _Body:
    """Decode, and say what is wrong with msgspec's words: they name types, places and field names, never values."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason = f"the body is no {name}: {error}"
    except msgspec.DecodeError:
        reason = "the body is no JSON"
    except UnicodeDecodeError:
        reason = "the body is no UTF-8"
    except RecursionError:
        reason = "the body is nested too deeply"
    raise NotADelivery(f"{reason}; {hint}" if hint else reason)
