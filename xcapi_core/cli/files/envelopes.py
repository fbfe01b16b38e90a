"""Messages written to files: push envelopes and dead letters, with their own attributes, id and publish time.

`xcapi dlq export` writes a push envelope a line, `gcloud pubsub subscriptions pull --format=json` a list of
`{"ackId", "message"}` with its data in URL-safe base64, and a `dead_letter_topic` of `file:PATH` the bare message.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeGuard

import msgspec

__all__ = ["FiledMessage", "decoded_json", "filed_message", "filed_messages", "may_be_filed"]

_ENVELOPE: Final = frozenset(
    {"message", "subscription", "deliveryAttempt", "delivery_attempt", "ackId", "ack_id", "@type"}
)
_MESSAGE: Final = frozenset(
    {
        "data",
        "attributes",
        "messageId",
        "message_id",
        "publishTime",
        "publish_time",
        "orderingKey",
        "ordering_key",
        "@type",
    }
)
# One of them tells a message from an event with a field called "message".
_TELLING: Final = ("data", "attributes", "messageId", "message_id")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_LISTS: Final = ("receivedMessages", "received_messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledMessage:
    """One message of Pub/Sub as it stands in a file; `problem` says why it cannot be read."""

    data: bytes = field(default=b"", repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    message_id: str = ""
    publish_time: str = ""
    problem: str = ""


def may_be_filed(text: bytes) -> bool:
    """Tell, at the price of a search, whether `filed_messages` is worth a try."""
    return b'"message"' in text or (b'"data"' in text and (b'"attributes"' in text or b'"messageId"' in text))


def filed_messages(value: object) -> list[object] | None:
    """Return the elements of a list of messages, not yet read; None where `value` is no such list."""
    if _is_object(value):
        value = next((value[name] for name in _LISTS if name in value), None)
    if not isinstance(value, list) or not value or filed_message(value[0]) is None:
        return None
    return value


def filed_message(value: object) -> FiledMessage | None:
    """Return the message that one decoded JSON value is; None where it is something else, an event for example."""
    if not _is_object(value):
        return None
    message: object = value
    if "message" in value and value.keys() <= _ENVELOPE:
        message = value["message"]
        if not _is_object(message) or not any(name in message for name in _TELLING):
            return None
    elif not (value.keys() <= _MESSAGE and "data" in value and len(value) > 1):
        return None
    return _read(message) if _is_object(message) else None


def _read(message: Mapping[str, object]) -> FiledMessage:
    attributes = message.get("attributes") or {}
    if not _is_object(attributes) or not all(isinstance(text, str) for text in attributes.values()):
        return FiledMessage(problem="a message whose attributes are no object of texts")
    text = message.get("data") or ""
    data = _decoded(text) if isinstance(text, str) else None
    if data is None:
        return FiledMessage(problem="a message whose data is no base64")
    return FiledMessage(
        data=data,
        attributes={name: str(value) for name, value in attributes.items()},
        message_id=_text(message, "messageId", "message_id"),
        publish_time=_text(message, "publishTime", "publish_time"),
    )


def _text(message: Mapping[str, object], *names: str) -> str:
    return next((value for name in names if isinstance(value := message.get(name), str)), "")


def _decoded(text: str) -> bytes | None:
    """Decode base64 of either alphabet, padded or not."""
    try:
        plain = text.encode("ascii").translate(_URL_SAFE, b" \t\r\n").rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def decoded_json(text: bytes) -> object:
    """Return the JSON value of `text`; None where it is none."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value
