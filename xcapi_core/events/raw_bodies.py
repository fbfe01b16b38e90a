"""Bodies that hold several events: a Measurement Protocol body, a Segment batch, an array of either.

Each event is cut out together with what stands around it: the body with that event alone. So every event is judged by
itself, inherits what its body says, and its dead letter is a body that reads the same when it is published again.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from xcapi_core.events.splitting import (
    MAX_EVENTS,
    Format,
    RawMessage,
    Unreadable,
    UnsplittableError,
    array_elements,
    object_members,
)
from xcapi_core.problems import Problem

__all__ = ["split_bodies"]

# What holds a body's events, in each dialect; the last two are what every message may be wrapped in.
_ARRAYS: Final[Mapping[Format, tuple[str, ...]]] = {
    "ga4": ("events", "conversions"),
    "segment": ("batch", "events", "conversions"),
}
# What only an event has: with it, an array of such a name is just one of the event's fields.
_EVENT_KEYS: Final[Mapping[Format, tuple[str, ...]]] = {
    "ga4": ("event_name", "name", "params", "event_params"),
    "segment": ("event", "properties", "traits"),
}
_MARKS: Final[Mapping[Format, tuple[tuple[str, bytes], ...]]] = {
    form: tuple((name, f'"{name}"'.encode()) for name in names) for form, names in _ARRAYS.items()
}
# Five times the largest message. What stands around the events is repeated with each of them.
_MOST_REPEATED_BYTES = 50_000_000

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


def split_bodies(split: RawMessage | Unreadable) -> RawMessage | Unreadable:
    """Return a message of `ga4` or `segment` with its bodies cut into events; everything else as it is.

    An event that came alone stays as it is, byte for byte. Elements may be anything, rubbish that is no JSON too.
    """
    if isinstance(split, Unreadable) or split.format not in _ARRAYS or len(split.events) != 1:
        return split
    whole = split.events[0]
    data = whole.removeprefix(_BOM).strip(_SPACE)
    try:
        events = _split(split.format, whole, data)
    except _UnsplittableBodyError as error:
        return Unreadable(Problem(path="data", found=error.found, expected=error.expected), error.envelope)
    except UnsplittableError as error:
        return Unreadable(Problem(path="data", found=error.found, expected="a JSON object or array"))
    return msgspec.structs.replace(split, events=tuple(events))


class _UnsplittableBodyError(UnsplittableError):
    """Why a body stays whole, and what stands around its events: it may say no for all of them."""

    def __init__(self, found: str, expected: str, envelope: Mapping[str, bytes]) -> None:
        super().__init__(found)
        self.expected = expected
        self.envelope = envelope


def _split(form: Format, whole: bytes, data: bytes) -> Sequence[bytes]:
    if data.startswith(b"{"):
        events, _ = _split_object(form, data, _MOST_REPEATED_BYTES)
        return (whole,) if events is None else events
    if not data.startswith(b"["):
        raise UnsplittableError("neither an object nor an array")
    elements = array_elements(data)
    if not any(mark in data for _, mark in _MARKS[form]):
        return elements
    flat: list[bytes] = []
    room = _MOST_REPEATED_BYTES
    for element in elements:
        try:
            events, room = _split_object(form, element, room)
        except UnsplittableError:
            events = None  # the reader says why, and nobody else in the array is harmed
        flat += (element,) if events is None else events
        if len(flat) > MAX_EVENTS:
            raise UnsplittableError(f"more than {MAX_EVENTS} elements")
    return flat


class _Body(msgspec.Struct, gc=False):
    """A look at how many events a body holds, at a fifth of the price of its members."""

    events: list[msgspec.Raw] | None = None
    batch: list[msgspec.Raw] | None = None
    conversions: list[msgspec.Raw] | None = None


_bodies: Final = msgspec.json.Decoder(_Body)


def _holds_one(data: bytes) -> bool:
    """Tell whether this is a body of one event, as most are; False where that takes a closer look."""
    try:
        body = _bodies.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    arrays = [array for array in (body.events, body.batch, body.conversions) if array is not None]
    return len(arrays) == 1 and len(arrays[0]) == 1


def _split_object(form: Format, data: bytes, room: int) -> tuple[Sequence[bytes] | None, int]:
    """Return a body's events, None where `data` is one event or a body of one, and what is left of `room`, in bytes."""
    names = [name for name, mark in _MARKS[form] if mark in data]
    if not names or not data.startswith(b"{") or _holds_one(data):
        return None, room
    members = object_members(data)
    arrays = [name for name in names if members.get(name, b"").startswith(b"[")]
    if not arrays or any(key in members for key in _EVENT_KEYS[form]):
        return None, room
    if len(arrays) > 1:
        envelope = {name: value for name, value in members.items() if name not in arrays}
        raise _UnsplittableBodyError(f"both {arrays[0]} and {arrays[1]}", "one of the two arrays", envelope)
    elements = array_elements(members.pop(arrays[0]))
    if len(elements) == 1 or not members:
        return (None if len(elements) == 1 else elements), room
    around = b",".join([msgspec.json.encode(name) + b":" + value for name, value in members.items()])
    room -= len(around) * len(elements)
    if room < 0:
        raise _UnsplittableBodyError(
            "too much around its events to go with each of them", f"at most {_MOST_REPEATED_BYTES} bytes of it", members
        )
    opening = b"{" + around + b"," + msgspec.json.encode(arrays[0]) + b":["
    return [opening + element + b"]}" for element in elements], room
