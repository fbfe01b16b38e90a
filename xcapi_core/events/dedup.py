"""X's dedup key: the names under which publishers keep it, and one that every redelivery derives alike."""

from collections.abc import Sequence
from hashlib import sha256

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, read_id
from xcapi_core.events.names import Places
from xcapi_core.events.source import EventSource

__all__ = ["DEDUP_KEYS", "dedup_names", "derived_conversion_id", "find_own_id"]

DEDUP_KEYS = ("conversion_id", "transaction_id", "order_id")
# Ids of the event rather than of the sale: for want of anything better.
_LAST_RESORTS = frozenset({"event_id", "messageId"})


def dedup_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names in the order in which they are tried: as they are, in camel case, then the ids of the event."""
    last = [name for name in names if name in _LAST_RESORTS]
    first = [name for name in names if name not in _LAST_RESORTS]
    return tuple(dict.fromkeys((*first, *map(_camel_case, first), *last)))


def find_own_id(places: Places, names: Sequence[tuple[int, str]], dropped: list[Drop]) -> str | None:
    """Return the publisher's own dedup key, the first that these places and names have; None where there is none."""
    for place, name in names:
        value = places[place][name]
        own = read_id(value)
        if own is not None and (name != "event_id" or not own.lower().startswith("tw-")):
            return own  # X's event tag is the same for every sale: X would drop all but the first
        if own is None and not is_absent(value):
            dropped.append(Drop.INVALID_CONVERSION_ID)
    return None


def derived_conversion_id(source: EventSource) -> str:
    """Return `xcapi-` and 32 hex digits of the event's bytes, its index and the message's original publish time."""
    # Two sales may be the same bytes; only their place in the stream tells them apart.
    place = f"{source.event_index}\0{source.publish_time_text}\0".encode("utf-8", "surrogatepass")
    return f"xcapi-{sha256(place + source.event_bytes).hexdigest()[:32]}"


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join([word[:1].upper() + word[1:] for word in rest])
