"""A message's events, one after the other, each read into a conversion or into its end."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.events.consent import may_send
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.pixels import choose_pixel
from xcapi_core.events.raw_bodies import split_bodies
from xcapi_core.events.splitting import RawMessage, Unreadable, decode_event, split_message
from xcapi_core.events.straight import StraightReader
from xcapi_core.events.straight_writer import Writers
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.pubsub import (
    PubsubMessage,
    original_event_indices,
    original_publish_time,
    parse_publish_time,
    replayed_conversion_id,
)
from xcapi_core.records import Record
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["ReadEvent", "read_events"]

# A consent field is a word or a small object; whatever is longer is something else.
_MAX_CONSENT_BYTES = 65_536


class ReadEvent(Record, frozen=True, kw_only=True, gc=False):
    """One event and what its reading gave. `event_index` is None for a message that holds no readable events.

    `pixel_id` and `conversion_id` are what is known of them where reading ended without a conversion. `format` is the
    dialect in which the event was read, "" where nothing could be.
    """

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "result", "pixel_id", "format")

    event_index: int | None
    event_bytes: bytes
    result: Conversion | Invalid | Expired | Skipped | Unreadable
    pixel_id: str = ""
    conversion_id: str = ""
    format: str = ""
    envelope: Envelope | None = None

    def message_data(self) -> bytes:
        """Return the event as the data of a message of its own: with its envelope around it, or as it came alone."""
        return self.event_bytes if self.envelope is None else self.envelope.around([self.event_bytes])


def read_events(
    message: PubsubMessage, settings: Settings, *, received_at: datetime, settled: frozenset[int]
) -> Iterator[ReadEvent | int]:
    """Read a message lazily, so that a large one can be read in portions.

    Yields a `ReadEvent`, or the bare index of an event that an earlier delivery settled. Never raises for any data.
    """
    origin = _Origin(message, received_at)
    if not settled and message.attributes.get("format", "x").strip().lower() in ("x", ""):
        # A lone event of X's own shape, as most publishers send it, need not be looked at twice.
        lone = _straight_reader("x", message, settings, origin).read(message.data)
        if lone is not None:
            yield ReadEvent(event_index=0, event_bytes=message.data, result=lone, format="x")
            return
    split = split_bodies(split_message(message))
    if isinstance(split, Unreadable):
        refused = _envelope_refuses(split, settings)
        end = Skipped(SkipReason.NO_CONSENT) if refused else split
        yield ReadEvent(event_index=None, event_bytes=message.data, result=end)
        return
    weigh = _WeighingReader(message, split, settings, origin)
    straight = None if weigh.refused_for_all else _straight_reader(split.format, message, settings, origin)
    for index, event_bytes in enumerate(split.events):
        if index in settled:
            yield index
        elif straight is not None and (result := straight.read(event_bytes)) is not None:
            yield ReadEvent(event_index=index, event_bytes=event_bytes, result=result, format=split.format)
        else:
            yield weigh.read(index, event_bytes)


class _Origin:
    """When a message was published first: worked out once, when the first event asks."""

    def __init__(self, message: PubsubMessage, received_at: datetime) -> None:
        self._message = message
        self.received_at = received_at
        self._publish_time: datetime | None = None
        self._text = ""

    def text(self) -> str:
        """Return the time as text; where there is none, the message's id, which tells it from one of equal bytes."""
        if not self._text:
            self._text = original_publish_time(self._message) or self._message.message_id
        return self._text

    def time(self) -> datetime:
        """Return the time, or when the message was received."""
        if self._publish_time is None:
            self._publish_time = parse_publish_time(self.text()) or self.received_at
        return self._publish_time


def _straight_reader(format_: str, message: PubsubMessage, settings: Settings, origin: _Origin) -> StraightReader:
    pixel_id = message.attributes.get("pixel_id")
    return StraightReader(
        Writers(format_, pixel_id, settings, publish_time=origin.time, received_at=origin.received_at)
    )


class _WeighingReader:
    """Reads the events of one message by all the rules."""

    def __init__(self, message: PubsubMessage, split: RawMessage, settings: Settings, origin: _Origin) -> None:
        self._settings = settings
        self._split = split
        self._origin = origin
        self._pixel_id = message.attributes.get("pixel_id")
        self._format_is_stated = "format" in message.attributes
        self.refused_for_all = _envelope_refuses(split, settings)
        # The id that a replayed letter brings is that of its one event; several would share it.
        self._replayed = replayed_conversion_id(message) if len(split.events) == 1 else None
        indices = original_event_indices(message)
        self._indices = indices if indices is not None and len(indices) == len(split.events) else None

    def read(self, index: int, event_bytes: bytes) -> ReadEvent:
        """Read one event."""
        event = decode_event(event_bytes)
        source = EventSource(
            event_bytes=event_bytes,
            event_index=index if self._indices is None else self._indices[index],
            message_pixel_id=self._pixel_id,
            publish_time=self._origin.time(),
            publish_time_text=self._origin.text(),
            received_at=self._origin.received_at,
            conversion_id=self._replayed,
            format_is_stated=self._format_is_stated,
        )
        result: Conversion | Invalid | Expired | Skipped
        if self.refused_for_all:
            result = Skipped(SkipReason.NO_CONSENT)
        elif isinstance(event, Problem):
            result = Invalid(event)
        else:
            result = read_event(event, source, self._settings, self._split.format)
        # Only a letter names it, and only a conversion brings it along.
        is_refused = isinstance(result, Invalid | Expired)
        pixel = choose_pixel(event, source.message_pixel_id, self._settings, self._split.format) if is_refused else None
        return ReadEvent(
            event_index=index,
            event_bytes=event_bytes,
            result=result,
            pixel_id=pixel.pixel_id if isinstance(pixel, PixelSettings) else "",
            conversion_id=(self._replayed or "") if is_refused else "",
            format=self._split.format,
        )


def _envelope_refuses(split: RawMessage | Unreadable, settings: Settings) -> bool:
    """Tell whether the object around the events says no for all of them: any no wins over any yes."""
    if not split.envelope or settings.consent == "ignore":
        return False
    # What cannot be read is kept as something that no consent field means, which is a no.
    envelope = {name: _decoded(value) for name, value in split.envelope.items() if len(value) <= _MAX_CONSENT_BYTES}
    return not may_send(envelope, policy="respect", categories=settings.consent_categories_of(None))


def _decoded(value: bytes) -> object:
    decoded = decode_event(value)
    return "unreadable" if isinstance(decoded, Problem) else decoded
