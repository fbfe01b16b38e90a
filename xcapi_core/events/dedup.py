"""X's dedup key: the publisher's own id of this conversion, or one that every redelivery derives alike."""

from collections.abc import Mapping
from hashlib import sha256

from xcapi_core.events.fields import read_text
from xcapi_core.events.source import EventSource

__all__ = ["conversion_id", "derived_conversion_id"]


def conversion_id(event: Mapping[str, object], names: tuple[str, ...], source: EventSource) -> str:
    """Return the first of `names` that has a value, else what the message names, else a derived key."""
    for name in names:
        value = event.get(name)
        if value is not None and (own := read_text(value)) is not None:
            return own
    return read_text(source.conversion_id) or derived_conversion_id(source)


def derived_conversion_id(source: EventSource) -> str:
    """Return `xcapi-` and 32 hex digits of the event's bytes, its index and the message's original publish time."""
    # Two sales may be the same bytes; only their place in the stream tells them apart.
    place = f"{source.event_index}\0{source.publish_time_text}\0".encode("utf-8", "surrogatepass")
    return f"xcapi-{sha256(place + source.event_bytes).hexdigest()[:32]}"
