"""Where test events come from: one fixed delivery, changed as a test needs."""

from datetime import UTC, datetime
from typing import Any

from xcapi_core.events import EventSource
from xcapi_core.events.straight import StraightReader
from xcapi_core.events.straight_writer import Writers
from xcapi_core.settings import Settings

__all__ = ["event_source", "straight_reader"]

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


def straight_reader(dialect: str, settings: Settings, **changes: Any) -> StraightReader:
    """Return the fast reader of a message of which `event_source(**changes)` is an event's source."""
    source = event_source(**changes)
    return StraightReader(
        Writers(
            dialect,
            source.message_pixel_id,
            settings,
            publish_time=lambda: source.publish_time,
            received_at=source.received_at,
        )
    )
