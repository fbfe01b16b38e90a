"""Dead letters: an event that cannot be delivered, as it was received, with the reason in its attributes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from xcapi_core import __version__
from xcapi_core.deliveries.outgoing import (
    MAX_ATTRIBUTES,
    MAX_REQUEST_BYTES,
    REQUEST_OVERHEAD_BYTES,
    OutgoingMessage,
    attributes_size,
    cut,
    index_attributes,
    merged_attributes,
    original_attributes,
)
from xcapi_core.deliveries.refused import RefusedEvent
from xcapi_core.events.envelopes import added_bytes, wrap_events
from xcapi_core.events.splitting import format_to_state
from xcapi_core.events.unpacking import pack
from xcapi_core.origins import first_message_id, original_publish_time
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.pubsub import PubsubMessage

__all__ = ["MAX_DEAD_LETTERS_A_REASON", "compose_dead_letters"]

# More than this of one message and one reason share dead letters: a message of 20,000 bad events is one mistake.
MAX_DEAD_LETTERS_A_REASON = 1000
# So do they where what stands around them would be repeated to more bytes than these: of 10 MB, a thousand times.
_MAX_REPEATED_BYTES = 32_000_000
# "123456-123459," is 14 characters: as many runs fit an attribute's 1,024 bytes.
_RUNS_AN_ATTRIBUTE = 70
_RUN_BYTES = 16
# What else of ours a shared dead letter may have.
_OTHER_ATTRIBUTES = 10
_LEAST = frozenset({"xcapi_reason", "xcapi_publish_time", "xcapi_conversion_id"})


def compose_dead_letters(
    message: PubsubMessage,
    events: Sequence[RefusedEvent],
    *,
    failed_at: datetime,
    in_all: Callable[[DeadLetterReason], int] = lambda _: 0,
) -> list[OutgoingMessage]:
    """Make the dead letters of one message's refused events.

    One an event, its bytes as received, so that republishing it replays it; above `MAX_DEAD_LETTERS_A_REASON` for one
    reason, or where their envelopes are large, arrays of events up to the size limit. `in_all` says how many of a
    reason there were so far.
    """
    by_reason: dict[DeadLetterReason, list[RefusedEvent]] = {}
    for event in events:
        by_reason.setdefault(event.reason, []).append(event)
    common = _dead_letter_attributes(message, failed_at)
    dead_letters: list[OutgoingMessage] = []
    for reason, members in by_reason.items():
        are_many = max(len(members), in_all(reason)) > MAX_DEAD_LETTERS_A_REASON
        if are_many or _repeated_bytes(members) > _MAX_REPEATED_BYTES:
            dead_letters.extend(_shared(message, common, reason, members))
        else:
            dead_letters.extend(_single(message, common, event) for event in members)
    return dead_letters


def _single(message: PubsubMessage, common: Mapping[str, str], event: RefusedEvent) -> OutgoingMessage:
    data = wrap_events([(event.envelope, event.event_bytes)])
    ours = {
        **common,
        "xcapi_reason": event.reason.value,
        "xcapi_http_status": str(event.http_status or ""),
        "xcapi_error_code": event.error_code,
        "xcapi_error_parameter": event.error_parameter,
        "xcapi_error_message": event.error_message,
        "xcapi_event_index": "" if event.named_index is None else str(event.named_index),
        "xcapi_pixel_id": event.pixel_id,
        "xcapi_conversion_id": event.conversion_id,
    }
    ours["format"] = format_to_state(message.attributes, event.format, data)
    indices = () if event.event_index is None else (event.event_index,)
    return _fitted(message, ours, data, indices)


def _shared(
    message: PubsubMessage, common: Mapping[str, str], reason: DeadLetterReason, events: Sequence[RefusedEvent]
) -> Iterator[OutgoingMessage]:
    room = MAX_REQUEST_BYTES - REQUEST_OVERHEAD_BYTES - attributes_size({**message.attributes, **common}) - 256
    # Those that name indices leave the originals their place.
    index_room = max(1, MAX_ATTRIBUTES - len(original_attributes(message)) - _OTHER_ATTRIBUTES)
    in_order = sorted(events, key=lambda event: event.named_index or 0)  # X refuses in an order of its own
    for share in _packed(in_order, room, index_room * _RUNS_AN_ATTRIBUTE):
        if len(share) == 1:
            yield _single(message, common, share[0])
            continue
        first = wrap_events([(share[0].envelope, share[0].event_bytes)])
        named = [event.named_index for event in share if event.named_index is not None]
        ours = {
            **common,
            "xcapi_reason": reason.value,
            "xcapi_event_count": str(len(share)),
            # Derived conversion ids are made of them, and a replay must keep those.
            **index_attributes(named),
            "format": format_to_state(message.attributes, share[0].format, first),
        }
        indices = tuple(event.event_index for event in share if event.event_index is not None)
        data = wrap_events([(event.envelope, event.event_bytes) for event in share])
        yield _fitted(message, ours, data, indices)


def _packed(events: Sequence[RefusedEvent], room: int, most_runs: int) -> Iterator[list[RefusedEvent]]:
    """Share events out, by bytes and by how many runs of indices the attributes can name."""
    share: list[RefusedEvent] = []
    size, runs, previous = 2, 0, -1
    for event in events:
        index = -1 if event.named_index is None else event.named_index
        begins_run = index != previous + 1
        added = (
            added_bytes(event.envelope, event.event_bytes, share[-1].envelope if share else None)
            + begins_run * _RUN_BYTES
        )
        if share and (size + added > room or runs + begins_run > most_runs):
            yield share
            share, size, runs, begins_run = [], 2, 0, True
            added = added_bytes(event.envelope, event.event_bytes, None) + _RUN_BYTES
        share.append(event)
        size += added
        runs += begins_run
        previous = index
    yield share


def _repeated_bytes(events: Sequence[RefusedEvent]) -> int:
    """Return how many bytes of envelopes that they share dead letters of one event each would repeat."""
    repeated = 0
    for previous, event in pairwise(events):
        envelope = event.envelope
        if envelope is not None and envelope is previous.envelope:
            repeated += len(envelope.head) + len(envelope.tail)
    return repeated


def _fitted(
    message: PubsubMessage, ours: Mapping[str, str], data: bytes, event_indices: tuple[int, ...]
) -> OutgoingMessage:
    """Keep to the limits: with both kinds of attributes, with ours alone, with the reason alone, with none.

    What fits in no way came gzip'ed, and goes so. A message's data as it came needs no more room than it had.
    """
    written = {key: cut(value) for key, value in ours.items() if value}
    least = {key: value for key, value in written.items() if key in _LEAST}
    for attributes in (merged_attributes(original_attributes(message), written), written, least):
        dead_letter = OutgoingMessage(data=data, attributes=attributes, event_indices=event_indices)
        if dead_letter.fits:
            return dead_letter
    packed = data if data == message.data else pack(data)
    if len(packed) < len(data):
        return _fitted(message, ours, packed, event_indices)
    return OutgoingMessage(data=data, attributes={}, event_indices=event_indices)


def _dead_letter_attributes(message: PubsubMessage, failed_at: datetime) -> dict[str, str]:
    attributes = message.attributes
    return {
        "xcapi_message_id": first_message_id(message),
        "xcapi_publish_time": original_publish_time(message),
        "xcapi_failed_at": failed_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "xcapi_delivery_attempt": str(message.delivery_attempt or ""),
        "xcapi_version": __version__,
        "xcapi_replays": attributes.get("xcapi_replays") or attributes.get("xcapi_replayed", ""),
    }
