"""A message's events, one after the other, each read into a conversion or into its end."""

from collections.abc import Container, Generator, Iterator
from datetime import datetime
from typing import ClassVar

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.consent import may_send
from xcapi_core.events.decoding import decode_event
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.reader import Reading, read_for_pixel
from xcapi_core.events.source import EventSource
from xcapi_core.events.splitting import RawMessage, Unreadable, split_message
from xcapi_core.events.unions import has_unions, without_unions
from xcapi_core.origins import original_event_indices, original_publish_time, parse_publish_time, replayed_conversion_id
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.records import Record
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["EventReadings", "MessageEvent", "ReadEvent", "read_events"]


class MessageEvent(Record, frozen=True, kw_only=True, gc=False):
    """One event as it came. `event_index` is None for a message that holds no readable events.

    `event_bytes` is the event alone, `envelope` what stands around it. `format` is its dialect, "" where nothing could
    be read.
    """

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "format")

    event_index: int | None
    event_bytes: bytes
    format: str = ""
    envelope: Envelope | None = None

    def message_data(self) -> bytes:
        """Return the event as the data of a message of its own: with its envelope around it, or as it came alone."""
        return self.event_bytes if self.envelope is None else self.envelope.around([self.event_bytes])


class ReadEvent(MessageEvent, frozen=True, kw_only=True, gc=False):
    """One event and what its reading gave.

    `pixel_id` and `conversion_id` are what is known of them where reading ended without a conversion.
    """

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "result", "pixel_id", "format")

    result: Conversion | Invalid | Expired | Skipped | Unreadable
    pixel_id: str = ""
    conversion_id: str = ""


def read_events(
    message: PubsubMessage, settings: Settings, *, received_at: datetime, settled: Container[int]
) -> "EventReadings":
    """Read a message lazily, so that a large one can be read in portions. Never raises for any data."""
    return EventReadings(message, settings, received_at, settled)


class EventReadings:
    """Iterates over a message's events: a `ReadEvent`, or the bare index of one that an earlier delivery settled.

    Its length is how many events the message holds; of one that cannot be read, 1.
    """

    def __init__(
        self, message: PubsubMessage, settings: Settings, received_at: datetime, settled: Container[int]
    ) -> None:
        self._message = message
        self._settings = settings
        self._received_at = received_at
        self._settled = settled
        self._split = split_message(message)
        self._count = len(self._split.events) if isinstance(self._split, RawMessage) else 1
        self._next_index = 0
        self._readings = self._read(self._split, settled)

    def __len__(self) -> int:
        """Return how many there are in all."""
        return self._count

    def __iter__(self) -> Iterator[ReadEvent | int]:
        """Return what reads on where reading stopped: what was read is not read again."""
        return self._readings

    @property
    def left(self) -> int:
        """How many have not been read."""
        return self._count - self._next_index

    def unread(self) -> Iterator[MessageEvent | int]:
        """Yield what was not read, as it came: it is to be read another time."""
        if isinstance(self._split, RawMessage):
            for index in range(self._next_index, self._count):
                envelope, event_bytes = self._split.events[index]
                yield (
                    index
                    if index in self._settled
                    else MessageEvent(
                        event_index=index, event_bytes=event_bytes, format=self._split.format, envelope=envelope
                    )
                )

    def close(self) -> None:
        """Let go of the events: what reads them refers to this in turn, and would wait for the garbage collector."""
        self._readings.close()

    def _read(self, split: RawMessage | Unreadable, settled: Container[int]) -> Generator[ReadEvent | int, None, None]:
        if isinstance(split, Unreadable):
            self._next_index = 1
            yield self._unreadable(split)
            return
        message, settings = self._message, self._settings
        # A message that says no time is known by the id that its remainders and dead letters keep.
        publish_time_text = original_publish_time(message) or (
            message.attributes.get("xcapi_message_id") or message.message_id
        )
        publish_time = parse_publish_time(publish_time_text) or self._received_at
        pixel_id = message.attributes.get("pixel_id")
        format_is_stated = "format" in message.attributes
        unions = has_unions(message.attributes)
        # The id that a replayed dead letter brings is that of its one event; several would share it.
        replayed = replayed_conversion_id(message) if self._count == 1 else None
        indices = original_event_indices(message)
        if indices is not None and len(indices) != self._count:
            indices = None
        form, alone = split.format, split.decoded
        for index, (envelope, event_bytes) in enumerate(split.events):
            self._next_index = index + 1
            if index in settled:
                yield index
                continue
            if alone is msgspec.UNSET:
                event = decode_event(event_bytes)
                event = without_unions(event) if unions else event
            else:
                event = alone
            result: Reading
            pixel: PixelSettings | None = None
            if not isinstance(event, dict) and isinstance(event, Problem):
                result = Invalid(event)
            else:
                source = EventSource(
                    event_bytes=event_bytes,
                    event_index=index if indices is None else indices[index],
                    message_pixel_id=pixel_id,
                    publish_time=publish_time,
                    publish_time_text=publish_time_text,
                    received_at=self._received_at,
                    conversion_id=replayed,
                    format_is_stated=format_is_stated,
                    envelope=envelope,
                    has_unions=unions,
                )
                result, pixel = read_for_pixel(event, source, settings, form)
            read_pixel_id = conversion_id = ""
            # Only a dead letter names them, and a conversion brings them along.
            if not isinstance(result, Conversion) and isinstance(result, (Invalid, Expired)):
                read_pixel_id = "" if pixel is None else pixel.pixel_id
                conversion_id = result.conversion_id or replayed or ""
            yield ReadEvent(
                event_index=index,
                event_bytes=event_bytes,
                result=result,
                pixel_id=read_pixel_id,
                conversion_id=conversion_id,
                format=form,
                envelope=envelope,
            )

    def _unreadable(self, split: Unreadable) -> ReadEvent:
        settings = self._settings
        refused = split.envelope and not may_send(
            split.envelope,
            policy="ignore" if settings.consent == "ignore" else "respect",
            categories=settings.consent_categories_of(None),
        )
        return ReadEvent(
            event_index=None,
            event_bytes=self._message.data,
            result=Skipped(SkipReason.NO_CONSENT) if refused else split,
        )
