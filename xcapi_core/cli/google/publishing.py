"""Publishing within Pub/Sub's limits, which the emulator does not keep.

Source: Pub/Sub, "Quotas and limits": 100 attributes a message, 256 bytes a key, 1,024 a value, 1,000 messages and
10,000,000 bytes a request; and no key that starts with "goog".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from google.api_core import exceptions
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.types import PublishRequest, PubsubMessage

from xcapi_core.cli.google.errors import transient_retry

__all__ = ["MAX_ATTRIBUTES", "MAX_MESSAGE_BYTES", "attribute_problem", "publish", "requests_of", "size_of"]

MAX_ATTRIBUTES: Final = 100
_MAX_KEY_BYTES: Final = 256
_MAX_VALUE_BYTES: Final = 1_024
_RESERVED_PREFIX: Final = "goog"
_MAX_REQUEST_MESSAGES: Final = 1_000
_MAX_REQUEST_BYTES: Final = 10_000_000
# A topic's name, and what protobuf puts around each field, are well below this.
_REQUEST_OVERHEAD_BYTES: Final = 2_048
_FIELD_OVERHEAD_BYTES: Final = 16
# What a lone message, by `size_of`, may have.
MAX_MESSAGE_BYTES: Final = _MAX_REQUEST_BYTES - _REQUEST_OVERHEAD_BYTES

_ATTEMPT_S: Final = 20.0
_RETRY_S: Final = 60.0


class Message(Protocol):
    """What is published."""

    @property
    def data(self) -> bytes:
        """The message's data."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """The message's attributes."""


_Message = TypeVar("_Message", bound=Message)


def size_of(data: bytes, attributes: Mapping[str, str]) -> int:
    """Return an upper bound of a message's share of a publish request, in bytes."""
    texts = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    return len(data) + texts + _FIELD_OVERHEAD_BYTES * (len(attributes) + 1)


def attribute_problem(key: str, value: str) -> str:
    """Return why Pub/Sub would not take this attribute, "" where it would."""
    if not 0 < len(key.encode()) <= _MAX_KEY_BYTES:
        return f"a name of 1 to {_MAX_KEY_BYTES} bytes is needed"
    if key.startswith(_RESERVED_PREFIX):
        return f'names that start with "{_RESERVED_PREFIX}" are Google\'s own'
    if len(value.encode()) > _MAX_VALUE_BYTES:
        return f"a value has at most {_MAX_VALUE_BYTES} bytes"
    return ""


def requests_of(messages: Iterable[_Message], most: int = _MAX_REQUEST_MESSAGES) -> Iterator[list[_Message]]:
    """Cut messages into requests that Pub/Sub takes, of at most `most` messages."""
    request: list[_Message] = []
    size = 0
    for message in messages:
        room = size_of(message.data, message.attributes)
        if request and (len(request) >= min(most, _MAX_REQUEST_MESSAGES) or size + room > MAX_MESSAGE_BYTES):
            yield request
            request, size = [], 0
        request.append(message)
        size += room
    if request:
        yield request


def publish(
    publisher: PublisherClient, topic: str, messages: Sequence[_Message]
) -> tuple[list[tuple[_Message, str]], list[_Message]]:
    """Publish what fits one request; return what is published, with its message ids, and what Pub/Sub refuses.

    A refused request is halved until the one message is alone that the topic (its schema, a limit) does not take.
    Raises Google's other errors: then nobody knows what arrived.
    """
    new_message, new_request = PubsubMessage.pb(), PublishRequest.pb()
    wire = [new_message(data=message.data, attributes=dict(message.attributes)) for message in messages]
    try:
        answer = publisher.publish(
            PublishRequest.wrap(new_request(topic=topic, messages=wire)),
            retry=transient_retry(_RETRY_S),
            timeout=_ATTEMPT_S,
        )
    except exceptions.InvalidArgument:
        if len(messages) == 1:
            return [], list(messages)
        middle = len(messages) // 2
        published, refused = publish(publisher, topic, messages[:middle])
        more_published, more_refused = publish(publisher, topic, messages[middle:])
        return published + more_published, refused + more_refused
    return list(zip(messages, answer.message_ids, strict=True)), []
