"""A message's events, one after the other, each read into a conversion or into its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.messages import (
    PubsubMessage,
    original_publish_time,
    parse_publish_time,
    replayed_conversion_id,
)
from xcapi_core.outcomes import Expired, Invalid, Skipped
from xcapi_core.problems import Problem
from xcapi_core.raw_events import Unreadable, decode_event, split_message
from xcapi_core.settings import Settings

__all__ = ["ReadEvent", "read_events"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvent:
    """One event and what its reading gave. `event_index` is None for a message that holds no readable events."""

    event_index: int | None
    event_bytes: bytes = field(repr=False)
    result: Conversion | Invalid | Expired | Skipped | Unreadable


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
    publish_time_text = original_publish_time(message)
    publish_time = parse_publish_time(publish_time_text) or received_at
    # The id that a replayed letter brings is that of its one event; several would share it.
    replayed = replayed_conversion_id(message) if len(split.events) == 1 else None
    for index, event_bytes in enumerate(split.events):
        if index in settled:
            yield index
            continue
        event = decode_event(event_bytes)
        if isinstance(event, Problem):
            yield ReadEvent(event_index=index, event_bytes=event_bytes, result=Invalid(event))
            continue
        source = EventSource(
            event_bytes=event_bytes,
            event_index=index,
            message_pixel_id=message.attributes.get("pixel_id"),
            publish_time=publish_time,
            publish_time_text=publish_time_text,
            received_at=received_at,
            conversion_id=replayed,
            format_is_stated="format" in message.attributes,
        )
        result = read_event(event, source, settings, split.format)
        yield ReadEvent(event_index=index, event_bytes=event_bytes, result=result)
