"""A message's events, one after the other, each read into a conversion or into its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from xcapi_core.consent import may_send
from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.events.pixels import choose_pixel
from xcapi_core.messages import (
    PubsubMessage,
    original_event_indices,
    original_publish_time,
    parse_publish_time,
    replayed_conversion_id,
)
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.raw_events import RawMessage, Unreadable, decode_event, split_message
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["ReadEvent", "read_events"]

# A consent field is a word or a small object; whatever is longer is something else.
_MAX_CONSENT_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvent:
    """One event and what its reading gave. `event_index` is None for a message that holds no readable events.

    `pixel_id` and `conversion_id` are what is known of them where reading ended without a conversion. `format` is the
    dialect in which the event was read, "" where nothing could be.
    """

    event_index: int | None
    event_bytes: bytes = field(repr=False)
    result: Conversion | Invalid | Expired | Skipped | Unreadable
    pixel_id: str = ""
    conversion_id: str = field(default="", repr=False)
    format: str = ""


def read_events(
    message: PubsubMessage, settings: Settings, *, received_at: datetime, settled: frozenset[int]
) -> Iterator[ReadEvent | int]:
    """Read a message lazily, so that a large one can be read in portions.

    Yields a `ReadEvent`, or the bare index of an event that an earlier delivery settled. Never raises for any data.
    """
    split = split_message(message)
    if isinstance(split, Unreadable):
        yield ReadEvent(event_index=None, event_bytes=message.data, result=split)
        return
    # Without a publish time, its id tells one message from another whose bytes are the same.
    publish_time_text = original_publish_time(message) or message.message_id
    publish_time = parse_publish_time(publish_time_text) or received_at
    # The id that a replayed letter brings is that of its one event; several would share it.
    replayed = replayed_conversion_id(message) if len(split.events) == 1 else None
    original_indices = original_event_indices(message)
    if original_indices is None or len(original_indices) != len(split.events):
        original_indices = tuple(range(len(split.events)))
    refused_for_all = _envelope_refuses(split, settings)
    for index, event_bytes in enumerate(split.events):
        if index in settled:
            yield index
            continue
        event = decode_event(event_bytes)
        source = EventSource(
            event_bytes=event_bytes,
            event_index=original_indices[index],
            message_pixel_id=message.attributes.get("pixel_id"),
            publish_time=publish_time,
            publish_time_text=publish_time_text,
            received_at=received_at,
            conversion_id=replayed,
            format_is_stated="format" in message.attributes,
        )
        result: Conversion | Invalid | Expired | Skipped
        if refused_for_all:
            result = Skipped(SkipReason.NO_CONSENT)
        elif isinstance(event, Problem):
            result = Invalid(event)
        else:
            result = read_event(event, source, settings, split.format)
        # Only a letter names it, and only a conversion brings it along.
        is_refused = isinstance(result, Invalid | Expired)
        pixel = choose_pixel(event, source.message_pixel_id, settings) if is_refused else None
        yield ReadEvent(
            event_index=index,
            event_bytes=event_bytes,
            result=result,
            pixel_id=pixel.pixel_id if isinstance(pixel, PixelSettings) else "",
            conversion_id=replayed or "",
            format=split.format,
        )


def _envelope_refuses(split: RawMessage, settings: Settings) -> bool:
    """Tell whether the object around the events says no for all of them: any no wins over any yes."""
    if not split.envelope or settings.consent == "ignore":
        return False
    # What cannot be read is kept as something that no consent field means, which is a no.
    envelope = {name: _decoded(value) for name, value in split.envelope.items() if len(value) <= _MAX_CONSENT_BYTES}
    return not may_send(envelope, policy="respect", categories=settings.consent_categories_of(None))


def _decoded(value: bytes) -> object:
    decoded = decode_event(value)
    return "unreadable" if isinstance(decoded, Problem) else decoded
