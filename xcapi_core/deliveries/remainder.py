"""The remainder of a message: its events that must wait, published to a topic of their own so that the message is done.

Its attributes: docs/operations.md, "Dead letters"; the reasons: docs/adr/0016-progress-in-pubsub.md.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from xcapi_core.deliveries.outgoing import OutgoingMessage, index_attributes, merged_attributes, original_attributes
from xcapi_core.events.envelopes import Envelope, added_bytes, wrap_events
from xcapi_core.events.splitting import format_to_state
from xcapi_core.origins import first_message_id, is_replay, original_publish_time
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.records import Record

__all__ = ["MAX_REMAINDER_BYTES", "MAX_REMAINDER_EVENTS", "DeferredEvent", "compose_remainder"]

# As many as one request to X carries, and small enough that a retry of one bad night repeats little.
MAX_REMAINDER_EVENTS = 500
MAX_REMAINDER_BYTES = 1_000_000
# Where time or budget ran out, remainders hold as many as the delivery settled, so that each is done in one delivery:
# 500 of which 60 are settled at a time would be published four times over. Never fewer than these, though.
_LEAST_EVENTS = 50
_LEAST_SUSPECTS = 10
# Room for our attributes and for the brackets of the data.
_ATTRIBUTES_BYTES = 8_192


class DeferredEvent(Record, frozen=True, kw_only=True, gc=False):
    """One event that must wait. `event_index` is its place in the message, `first_index` in the first message."""

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "is_suspect", "format")

    event_index: int
    first_index: int
    event_bytes: bytes
    envelope: Envelope | None
    format: str
    is_suspect: bool


def compose_remainder(
    message: PubsubMessage, events: Sequence[DeferredEvent], *, manageable: int | None = None
) -> list[OutgoingMessage] | None:
    """Return the messages that carry these events on; None where Pub/Sub would not take one of them.

    `manageable` is how many events one delivery settles, where time or budget ran out.
    """
    originals = original_attributes(message)
    common = _remainder_attributes(message)
    room = MAX_REMAINDER_BYTES - _ATTRIBUTES_BYTES - sum(len(key) + len(text) for key, text in originals.items())
    in_order = sorted(events, key=lambda event: (event.is_suspect, event.format, event.first_index))
    remainders: list[OutgoingMessage] = []
    for share in _shared_out(in_order, manageable, room):
        data = wrap_events([(event.envelope, event.event_bytes) for event in share])
        ours = common | index_attributes([event.first_index for event in share])
        if share[0].is_suspect:
            ours["xcapi_suspect"] = "true"
        first = wrap_events([(share[0].envelope, share[0].event_bytes)])
        if form := format_to_state(originals, share[0].format, first):
            ours["format"] = form
        remainder = OutgoingMessage(
            data=data,
            attributes=merged_attributes(originals, ours),
            event_indices=tuple(event.event_index for event in share),
        )
        if not remainder.fits:
            return None
        remainders.append(remainder)
    return remainders


def _shared_out(events: Sequence[DeferredEvent], manageable: int | None, room: int) -> Iterator[list[DeferredEvent]]:
    """Share events out: suspects and dialects apart, so many events and bytes each, at least one."""
    share: list[DeferredEvent] = []
    size = 0
    for event in events:
        added = added_bytes(event.envelope, event.event_bytes, share[-1].envelope if share else None)
        alike = not share or (share[0].is_suspect, share[0].format) == (event.is_suspect, event.format)
        if share and (not alike or len(share) == _most(share, manageable) or size + added > room):
            yield share
            share, size = [], 0
            added = added_bytes(event.envelope, event.event_bytes, None)
        share.append(event)
        size += added
    if share:
        yield share


def _most(share: Sequence[DeferredEvent], manageable: int | None) -> int:
    """Return how many events a remainder of this kind may hold."""
    if manageable is None:
        return MAX_REMAINDER_EVENTS
    return min(MAX_REMAINDER_EVENTS, max(_LEAST_SUSPECTS if share[0].is_suspect else _LEAST_EVENTS, manageable))


def _remainder_attributes(message: PubsubMessage) -> dict[str, str]:
    attributes = message.attributes
    ours = {
        "xcapi_message_id": first_message_id(message),
        "xcapi_publish_time": original_publish_time(message),
    }
    # A replay starts anew under its own id. Its remainder is a message of that life, no replay of its own: how often it
    # was replayed, and since when it waits, stand under other names.
    replayed = attributes.get("xcapi_replays") or attributes.get("xcapi_replayed")
    if replayed:
        ours["xcapi_replayed"] = replayed
    since = message.publish_time if is_replay(message) else attributes.get("xcapi_replay_publish_time")
    if since:
        ours["xcapi_replay_publish_time"] = since
    return {key: value for key, value in ours.items() if value}
