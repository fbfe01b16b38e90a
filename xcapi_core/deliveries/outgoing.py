"""Messages that the function publishes itself, within Pub/Sub's limits.

A message that breaks one could never be published, and what it stands for would come back for ever. Source: Pub/Sub,
"Quotas and limits": 100 attributes a message, 256 bytes a key, 1,024 a value, 10,000,000 bytes a request, 1,000
messages a request, and no key that starts with "goog".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from xcapi_core.pubsub import PubsubMessage
from xcapi_core.records import Record

__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_REQUEST_BYTES",
    "MAX_REQUEST_MESSAGES",
    "MAX_VALUE_BYTES",
    "REQUEST_OVERHEAD_BYTES",
    "OutgoingMessage",
    "attributes_size",
    "cut",
    "index_attributes",
    "index_runs",
    "merged_attributes",
    "original_attributes",
    "request_batches",
]

MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_REQUEST_BYTES = 10_000_000
MAX_REQUEST_MESSAGES = 1000
# A topic's name, and what protobuf puts around each field, are well below this.
REQUEST_OVERHEAD_BYTES = 2048
_FIELD_OVERHEAD_BYTES = 16
_RESERVED_PREFIX = "goog"
# What Pub/Sub says of a message's schema is needed to read its data, and may not be published under Pub/Sub's names.
_RENAMED = {
    "googclient_schemaencoding": "xcapi_schema_encoding",
    "googclient_schemaname": "xcapi_schema_name",
    "googclient_schemarevisionid": "xcapi_schema_revision_id",
}

# What an earlier life or delivery said of a message as a whole; what the function publishes says its own.
_WRITTEN_ANEW = (
    "xcapi_message_id",
    "xcapi_publish_time",
    "xcapi_event_ind",
    "xcapi_event_count",
    "xcapi_suspect",
    "xcapi_replay",
    "xcapi_reason",
    "xcapi_http_status",
    "xcapi_error_",
    "xcapi_pixel_id",
    "xcapi_conversion_id",  # of the one event of a message; what waits of several has ids of its own
    "xcapi_failed_at",
    "xcapi_delivery_attempt",
    "xcapi_version",
    "xcapi_attributes_dropped",
)


class OutgoingMessage(Record, frozen=True, kw_only=True, gc=False):
    """One message to publish; `event_indices` are those of the incoming message that it settles."""

    _shown: ClassVar[tuple[str, ...]] = ("event_indices",)

    data: bytes
    attributes: Mapping[str, str]
    event_indices: tuple[int, ...] = ()

    @property
    def size_bytes(self) -> int:
        """An upper bound of the message's share of a publish request."""
        return len(self.data) + _FIELD_OVERHEAD_BYTES + attributes_size(self.attributes)

    @property
    def fits(self) -> bool:
        """Whether a request can carry it."""
        return self.size_bytes + REQUEST_OVERHEAD_BYTES <= MAX_REQUEST_BYTES


def request_batches(messages: Iterable[OutgoingMessage]) -> Iterator[list[OutgoingMessage]]:
    """Cut messages into publish requests that Pub/Sub takes."""
    batch: list[OutgoingMessage] = []
    size = REQUEST_OVERHEAD_BYTES
    for message in messages:
        room = message.size_bytes
        if batch and (len(batch) == MAX_REQUEST_MESSAGES or size + room > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], REQUEST_OVERHEAD_BYTES
        batch.append(message)
        size += room
    if batch:
        yield batch


def original_attributes(message: PubsubMessage) -> dict[str, str]:
    """Return the attributes that a message's publisher gave it, and those that say how its data is to be read."""
    return {key: value for key, value in message.attributes.items() if not key.startswith(_WRITTEN_ANEW)}


def merged_attributes(originals: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Return both kinds of attributes, at most 100: ours win, originals that do not fit are dropped and counted."""
    foreign = {_RENAMED.get(key, key): value for key, value in originals.items()}
    foreign = {key: value for key, value in foreign.items() if key not in ours}
    kept = {key: value for key, value in foreign.items() if _is_publishable(key, value)}
    if len(kept) == len(foreign) and len(kept) + len(ours) <= MAX_ATTRIBUTES:
        return {**kept, **ours}
    # What says how the data is to be read goes last.
    first = sorted(kept, key=lambda key: key not in _NEEDED)[: MAX_ATTRIBUTES - len(ours) - 1]
    return {
        **{key: kept[key] for key in first},
        **ours,
        "xcapi_attributes_dropped": str(len(foreign) - len(first)),
    }


_NEEDED = frozenset({"format", "pixel_id", *_RENAMED.values()})


def cut(text: str, limit: int = MAX_VALUE_BYTES) -> str:
    """Cut to `limit` bytes of UTF-8 between two characters, marked by an ellipsis."""
    if len(text) <= limit and text.isascii():
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def attributes_size(attributes: Mapping[str, str]) -> int:
    """Return an upper bound of what attributes take in a request, in bytes."""
    return _size("".join([*attributes, *attributes.values()])) + _FIELD_OVERHEAD_BYTES * len(attributes)


def index_runs(indices: Sequence[int]) -> list[str]:
    """Return how an attribute names indices: ["0-3", "7"] for 0, 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def index_attributes(indices: Sequence[int]) -> dict[str, str]:
    """Name the indices, in as many attributes as they need: 500 runs of "123456" are 3.5 kB."""
    texts = [""]
    for run in index_runs(indices):
        if len(texts[-1]) + 1 + len(run) > MAX_VALUE_BYTES:
            texts.append("")
        texts[-1] += f",{run}" if texts[-1] else run
    return {
        "xcapi_event_indices" if number == 1 else f"xcapi_event_indices_{number}": text
        for number, text in enumerate(texts, start=1)
    }


def _is_publishable(key: str, value: str) -> bool:
    return 0 < _size(key) <= MAX_KEY_BYTES and not key.startswith(_RESERVED_PREFIX) and _size(value) <= MAX_VALUE_BYTES


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
