"""The events of a message's data, each with its own bytes, and the data again with some changed or left out.

Not the function's reading: nothing is judged here. What cannot be told apart is one event.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

__all__ = ["events_of", "rewritten", "unpacked"]

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_GZIP: Final = b"\x1f\x8b"
_MOST_UNPACKED: Final = 16_000_000
_LISTS: Final = ("events", "conversions", "batch")
# What only an event has: with it, a list of such a name is just one of the event's fields.
_EVENT_KEYS: Final = frozenset({"event", "event_id", "event_name", "name", "params", "event_params", "properties"})
_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_lists = msgspec.json.Decoder(list[msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class _Group:
    """A list of events or of further groups, and the object around it, if there is one."""

    children: Sequence["_Group | bytes"] = field(repr=False)
    around: Mapping[str, bytes] | None = field(default=None, repr=False)
    name: str = ""


def unpacked(data: bytes) -> bytes | None:
    """Return data without gzip; None where that is damaged, or larger than a message may unpack to."""
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, _MOST_UNPACKED + 1)
    except zlib.error:
        return None
    return plain if unpacker.eof and len(plain) <= _MOST_UNPACKED else None


def events_of(data: bytes) -> list[bytes] | None:
    """Return the events in their order, as bytes; None where the data is no JSON."""
    group = _group(data)
    return None if group is None else _leaves(group)


def rewritten(data: bytes, change: Callable[[int, bytes], bytes | None]) -> bytes | None:
    """Return the data with `change(number, event)` in each event's place, left out where that is None.

    None where nothing is left, or where the data is no JSON. What stands around the events stays.
    """
    group = _group(data)
    if group is None:
        return None
    written, _ = _written(group, change, 0)
    return written


def _group(data: bytes) -> _Group | bytes | None:
    plain = unpacked(data)
    if plain is None:
        return None
    text = plain.removeprefix(_BOM).strip(_SPACE)
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        return _of(text, text)
    except _ERRORS:
        return None


def _of(text: bytes, whole: bytes) -> _Group | bytes:
    if text.startswith(b"["):
        return _Group([_of(bytes(element), bytes(element)) for element in _lists.decode(text)])
    if not text.startswith(b"{"):
        return whole
    members = {name: bytes(value) for name, value in _objects.decode(text).items()}
    if not _EVENT_KEYS.isdisjoint(members):
        return whole
    found = [(name, elements) for name in _LISTS if (elements := _elements(members.get(name, b""))) is not None]
    if len(found) != 1:
        return whole
    name, elements = found[0]
    return _Group(elements, members, name)


def _elements(value: bytes) -> Sequence[bytes] | None:
    """Return the elements of a list, also as serialisers write it: an object with digits as keys, JSON as text."""
    if value.startswith(b'"'):
        text = _texts.decode(value).strip()
        return _elements(text.encode()) if text.startswith(("[", "{")) else None
    if value.startswith(b"["):
        return [bytes(element) for element in _lists.decode(value)]
    if value.startswith(b"{"):
        members = _objects.decode(value)
        if members and all(name.isdecimal() for name in members):
            return [bytes(element) for element in members.values()]
        if len(members) == 1 and "array" in members:  # a union of Avro's JSON encoding
            return _elements(bytes(members["array"]))
    return None


def _leaves(group: _Group | bytes) -> list[bytes]:
    if isinstance(group, bytes):
        return [group]
    return [leaf for child in group.children for leaf in _leaves(child)]


def _written(
    group: _Group | bytes, change: Callable[[int, bytes], bytes | None], number: int
) -> tuple[bytes | None, int]:
    if isinstance(group, bytes):
        return change(number, group), number + 1
    children: list[bytes] = []
    for child in group.children:
        written, number = _written(child, change, number)
        if written is not None:
            children.append(written)
    if not children:
        return None, number
    text = b"[" + b",".join(children) + b"]"
    if group.around is None:
        return text, number
    members = {**group.around, group.name: text}
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items()) + b"}", number
