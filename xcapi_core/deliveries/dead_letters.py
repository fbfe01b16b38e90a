"""Dead letters: an event that cannot be delivered, as it was received, with the reason in its attributes.

Pub/Sub's limits are kept here, since a letter that breaks one could never be published and its message would come
back for ever. Source: Pub/Sub, "Quotas and limits": 100 attributes a message, 256 bytes a key, 1,024 a value,
10,000,000 bytes a request, and no key that starts with "goog".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from xcapi_core import __version__
from xcapi_core.events.splitting import lone_format
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.pubsub import PubsubMessage, original_publish_time
from xcapi_core.records import Record

__all__ = ["DeadLetter", "Undeliverable", "compose_letters", "letter_batches"]

MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_REQUEST_BYTES = 10_000_000
MAX_REQUEST_MESSAGES = 1000
# A topic's name, and what protobuf puts around each field, are well below this.
_REQUEST_OVERHEAD_BYTES = 2048
_FIELD_OVERHEAD_BYTES = 16

# More letters than this of one message and one reason share: a message of 20,000 bad events is one mistake.
MAX_LETTERS_A_REASON = 1000

# "123456-123459," is 14 characters: as many runs fit an attribute's 1,024 bytes.
_MAX_RUNS = 70

_RESERVED_PREFIX = "goog"
_OURS = "xcapi_"
_LEAST = frozenset({"xcapi_reason", "xcapi_publish_time", "xcapi_conversion_id"})


class Undeliverable(Record, frozen=True, kw_only=True, gc=False):
    """One event that ends in the dead-letter topic, and why. `error_message` is X's words, or ours."""

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "reason", "http_status", "pixel_id", "format")

    event_index: int | None
    event_bytes: bytes
    reason: DeadLetterReason
    http_status: int | None = None
    error_code: str = ""
    error_parameter: str = ""
    error_message: str = ""
    pixel_id: str = ""
    conversion_id: str = ""
    format: str = ""


class DeadLetter(Record, frozen=True, kw_only=True, gc=False):
    """One message for the dead-letter topic; `event_indices` are those of the incoming message that it settles."""

    _shown: ClassVar[tuple[str, ...]] = ("event_indices",)

    data: bytes
    attributes: Mapping[str, str]
    event_indices: tuple[int, ...] = ()

    @property
    def size_bytes(self) -> int:
        """An upper bound of the letter's share of a publish request."""
        return len(self.data) + _FIELD_OVERHEAD_BYTES + _attributes_size(self.attributes)


def compose_letters(
    message: PubsubMessage, events: Sequence[Undeliverable], *, failed_at: datetime
) -> list[DeadLetter]:
    """Make the letters of one message's refused events.

    One letter an event, its bytes as received, so that republishing the letter replays it; above
    `MAX_LETTERS_A_REASON` for one reason, arrays of events up to the size limit.
    """
    by_reason: dict[DeadLetterReason, list[Undeliverable]] = {}
    for event in events:
        by_reason.setdefault(event.reason, []).append(event)
    common = _common_attributes(message, failed_at)
    letters: list[DeadLetter] = []
    for reason, members in by_reason.items():
        if len(members) <= MAX_LETTERS_A_REASON:
            letters.extend(_single(message, common, event) for event in members)
        else:
            letters.extend(_shared(message, common, reason, members))
    return letters


def letter_batches(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Cut letters into publish requests that Pub/Sub takes: 1,000 messages and 10,000,000 bytes each."""
    batch: list[DeadLetter] = []
    size = _REQUEST_OVERHEAD_BYTES
    for letter in letters:
        room = letter.size_bytes
        if batch and (len(batch) == MAX_REQUEST_MESSAGES or size + room > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], _REQUEST_OVERHEAD_BYTES
        batch.append(letter)
        size += room
    if batch:
        yield batch


def _single(message: PubsubMessage, common: Mapping[str, str], event: Undeliverable) -> DeadLetter:
    ours = {
        **common,
        "xcapi_reason": event.reason.value,
        "xcapi_http_status": str(event.http_status or ""),
        "xcapi_error_code": event.error_code,
        "xcapi_error_parameter": event.error_parameter,
        "xcapi_error_message": event.error_message,
        "xcapi_event_index": "" if event.event_index is None else str(event.event_index),
        "xcapi_pixel_id": event.pixel_id,
        "xcapi_conversion_id": event.conversion_id,
    }
    if event.format and "format" not in message.attributes and lone_format(event.event_bytes) != event.format:
        # Among its neighbours it was read in their format; alone, it would be taken for another.
        ours["format"] = event.format
    indices = () if event.event_index is None else (event.event_index,)
    return _fitted(message, ours, event.event_bytes, indices)


def _shared(
    message: PubsubMessage, common: Mapping[str, str], reason: DeadLetterReason, events: Sequence[Undeliverable]
) -> Iterator[DeadLetter]:
    room = MAX_REQUEST_BYTES - _REQUEST_OVERHEAD_BYTES - _attributes_size({**message.attributes, **common}) - 256
    for share in _packed(events, room):
        if len(share) == 1:
            yield _single(message, common, share[0])
            continue
        indices = tuple(event.event_index for event in share if event.event_index is not None)
        ours = {
            **common,
            "xcapi_reason": reason.value,
            "xcapi_event_count": str(len(share)),
            # Derived conversion ids are made of it, and a replay must keep them.
            "xcapi_event_indices": _ranges(indices),
        }
        data = b"[" + b",".join(event.event_bytes for event in share) + b"]"
        yield _fitted(message, ours, data, indices)


def _packed(events: Sequence[Undeliverable], room: int) -> Iterator[list[Undeliverable]]:
    """Share events out, by bytes and by how many runs of indices an attribute can name."""
    share: list[Undeliverable] = []
    size, runs, previous = 2, 0, -1
    for event in events:
        index = -1 if event.event_index is None else event.event_index
        runs += index != previous + 1 or not share
        if share and (size + len(event.event_bytes) + 1 > room or runs > _MAX_RUNS):
            yield share
            share, size, runs = [], 2, 1
        share.append(event)
        size += len(event.event_bytes) + 1
        previous = index
    yield share


def _ranges(indices: Sequence[int]) -> str:
    """Return "0-3,7" for 0, 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _fitted(message: PubsubMessage, ours: Mapping[str, str], data: bytes, event_indices: tuple[int, ...]) -> DeadLetter:
    """Keep to the limits: with both kinds of attributes, with ours alone, with the reason alone, with none."""
    cut = {key: _cut(value, MAX_VALUE_BYTES) for key, value in ours.items() if value}
    least = {key: value for key, value in cut.items() if key in _LEAST}
    for attributes in (_merged(message.attributes, cut), cut, least):
        letter = DeadLetter(data=data, attributes=attributes, event_indices=event_indices)
        if letter.size_bytes + _REQUEST_OVERHEAD_BYTES <= MAX_REQUEST_BYTES:
            return letter
    return DeadLetter(data=data, attributes={}, event_indices=event_indices)


def _merged(originals: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Both kinds, within 100: ours win, originals that do not fit are dropped and counted."""
    foreign = {key: value for key, value in originals.items() if not key.startswith(_OURS) and key not in ours}
    kept = {key: value for key, value in foreign.items() if _is_publishable(key, value)}
    if len(kept) == len(foreign) and len(kept) + len(ours) <= MAX_ATTRIBUTES:
        return {**kept, **ours}
    kept = dict(list(kept.items())[: MAX_ATTRIBUTES - len(ours) - 1])
    return {**kept, **ours, "xcapi_attributes_dropped": str(len(foreign) - len(kept))}


def _is_publishable(key: str, value: str) -> bool:
    return 0 < _size(key) <= MAX_KEY_BYTES and not key.startswith(_RESERVED_PREFIX) and _size(value) <= MAX_VALUE_BYTES


def _common_attributes(message: PubsubMessage, failed_at: datetime) -> dict[str, str]:
    return {
        "xcapi_message_id": message.message_id,
        "xcapi_publish_time": original_publish_time(message),
        "xcapi_failed_at": failed_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "xcapi_delivery_attempt": str(message.delivery_attempt or ""),
        "xcapi_version": __version__,
    }


def _attributes_size(attributes: Mapping[str, str]) -> int:
    return _size("".join([*attributes, *attributes.values()])) + _FIELD_OVERHEAD_BYTES * len(attributes)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _cut(text: str, limit: int) -> str:
    """Cut to `limit` bytes of UTF-8 between two characters, marked by an ellipsis."""
    if len(text) <= limit and text.isascii():
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
