"""Which dialect an event is in, or a body of several, told by the names of its fields."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from xcapi_core.events.decoding import decode_event
from xcapi_core.events.elements import (
    UnsplittableError,
    array_elements,
    member_list,
    object_members,
    value_within,
)
from xcapi_core.events.envelopes import open_cloud_event, read_around
from xcapi_core.events.fields import is_object
from xcapi_core.events.shapes import as_list

__all__ = ["ARRAYS", "FORMATS", "Format", "first_object", "format_of", "format_of_body"]

Format = Literal["x", "ga4", "segment"]
FORMATS: Final[tuple[Format, ...]] = ("x", "ga4", "segment")

# What holds several events, in each dialect.
ARRAYS: Final[Mapping[Format, tuple[str, ...]]] = {
    "x": ("events", "conversions"),
    "ga4": ("events", "conversions"),
    "segment": ("batch", "events", "conversions"),
}

_SEGMENT_TYPES: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_GA4_NAMES: Final = frozenset({"params", "event_params", "client_id", "app_instance_id", "ip_override"})
_DEEPEST_BODY: Final = 3  # bodies and CloudEvents in one another
_GA4_PREFIXES: Final = ("x-ga-", "x-sst-")


def format_of(fields: Mapping[str, object]) -> Format:
    """Return the dialect of an event, or of the object around several, by the first of the signs that it bears."""
    kind = fields.get("type")
    if (isinstance(kind, str) and kind in _SEGMENT_TYPES) or isinstance(as_list(fields.get("batch")), list):
        return "segment"
    if not _GA4_NAMES.isdisjoint(fields):
        return "ga4"
    # One look at all names first: hardly any event has such a prefix in them.
    if "x-" in " ".join(fields) and any(name.startswith(_GA4_PREFIXES) for name in fields):
        return "ga4"
    return "x"


def format_of_body(members: Mapping[str, bytes], *, unions: bool, depth: int = 0) -> Format:
    """Return the dialect of an object by its members, and by the first of the events in it."""
    form = format_of(_sketch(members, unions=unions))
    if form != "x" or depth > _DEEPEST_BODY:
        return form
    for name in ARRAYS["x"]:
        elements = member_list(members, name, unions=unions)
        if elements is not None:
            sample = first_object(elements, unions=unions)
            # A Measurement Protocol body; X's own events have no name.
            is_ga4 = name == "events" and "name" in sample
            return "ga4" if is_ga4 else format_of_body(sample, unions=unions, depth=depth + 1)
    return "x"


def first_object(elements: Iterable[bytes], *, unions: bool, depth: int = 0) -> Mapping[str, bytes]:
    """Return the members of the first element that is an object, or holds one; none where there is none."""
    for raw in elements:
        if not raw.startswith((b"{", b'"')):  # of rubbish there may be 350,000
            continue
        try:
            element = value_within(raw, unions=unions)
            wrapped = open_cloud_event(element, unions=unions)
            if wrapped is not None:
                element = value_within(wrapped[1], unions=unions)
            if element.startswith(b"{") and is_object(decode_event(element)):
                return object_members(element)
            if wrapped is not None and element.startswith(b"[") and depth <= _DEEPEST_BODY:
                return first_object(array_elements(element), unions=unions, depth=depth + 1)
        except UnsplittableError:
            continue
    return {}


def _sketch(members: Mapping[str, bytes], *, unions: bool) -> dict[str, object]:
    """Return an object's names, with the values of those that tell a dialect."""
    told = {name: members[name] for name in ("type", "batch") if name in members}
    return {**dict.fromkeys(members), **read_around(told).fields(unions=unions)}
