"""Where an event came from."""

from datetime import datetime
from typing import ClassVar

from xcapi_core.events.envelopes import Envelope
from xcapi_core.records import Record

__all__ = ["EventSource"]


class EventSource(Record, frozen=True, kw_only=True, gc=False):
    """Where an event came from: what its reading needs besides its own JSON.

    `message_pixel_id` is the message's `pixel_id` attribute. `publish_time` is the *original* publish time (a
    replayed dead letter keeps it), `publish_time_text` the same as it was received, of which a derived
    conversion id is made. `event_bytes` is the event as it was received. `conversion_id` is set where the message
    names it (`xcapi_conversion_id`) and wins over what would be derived. `format_is_stated` is True where the
    message's `format` attribute named the dialect: then no event is ambiguous. `envelope` is what stands around the
    event. `has_unions` is True where the event came in Avro's JSON encoding.
    """

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "message_pixel_id", "publish_time")

    event_bytes: bytes
    event_index: int
    message_pixel_id: str | None
    publish_time: datetime
    publish_time_text: str
    received_at: datetime
    conversion_id: str | None = None
    format_is_stated: bool = False
    envelope: Envelope | None = None
    has_unions: bool = False
