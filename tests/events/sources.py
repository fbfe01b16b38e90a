"""Where test events come from: one fixed delivery, changed as a test needs."""

from datetime import UTC, datetime
from typing import Any, Literal

from tests.fakes import delivery
from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.events.decoding import decode_event
from xcapi_core.events.splitting import RawMessage, split_message
from xcapi_core.outcomes import Expired, Invalid, Skipped
from xcapi_core.settings import Settings

__all__ = ["WIRE_FIELDS", "event_source", "read_alone"]

# X's documented fields, in the one order that they are sent in.
WIRE_FIELDS = (
    "conversion_time",
    "event_id",
    "identifiers",
    "conversion_id",
    "value",
    "price_currency",
    "number_items",
    "contents",
    "description",
    "event_source_url",
    "search_string",
)

_PUBLISHED = datetime(2026, 4, 20, 12, 0, 0, tzinfo=UTC)
_RECEIVED = datetime(2026, 4, 20, 12, 0, 5, tzinfo=UTC)


def event_source(**changes: Any) -> EventSource:
    """Return the source of an event published at noon and received five seconds later, with `changes`."""
    if isinstance(published := changes.get("publish_time"), str):
        changes["publish_time"] = datetime.fromisoformat(published)
    fields: dict[str, Any] = {
        "event_bytes": b'{"n":1}',
        "event_index": 0,
        "message_pixel_id": None,
        "publish_time": _PUBLISHED,
        "publish_time_text": "2026-04-20T12:00:00Z",
        "received_at": _RECEIVED,
    }
    return EventSource(**(fields | changes))


def read_alone(
    data: bytes, format_: Literal["x", "ga4", "segment"], settings: Settings, **source: Any
) -> Conversion | Invalid | Expired | Skipped:
    """Read the one event of a message; what holds none, or several, is read as if it were one."""
    split = split_message(delivery(data, {"format": format_}))
    if data.startswith(b"{") and isinstance(split, RawMessage) and len(split.events) == 1:
        ((envelope, data),) = split.events
        source = {"envelope": envelope, **source}
    return read_event(decode_event(data), event_source(**source), settings, format_)
