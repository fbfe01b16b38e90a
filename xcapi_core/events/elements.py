"""The elements of an array and the members of an object, as the bytes that came, JSON or not."""

import re
from collections.abc import Mapping

import msgspec

from xcapi_core.events.decoding import DECODING_ERRORS, JSON_SPACE, decode_event
from xcapi_core.events.unions import is_union_type
from xcapi_core.events.unpacking import text_within

__all__ = [
    "MAX_EVENTS",
    "SUSPICIOUS_COMMAS",
    "NamelessMemberError",
    "UnsplittableError",
    "array_elements",
    "is_indexed",
    "list_within",
    "lost_members",
    "member_list",
    "object_members",
    "value_within",
]

# The smallest event that X could take has 29 bytes, so 10 MB hold no more than this many; more is rubbish by the
# million, and would cost memory by the gigabyte.
MAX_EVENTS = 350_000
# Ten bytes between two commas on average, all over a message of full size: counted before it is split.
SUSPICIOUS_COMMAS = 1_000_000
# The smallest events that X could take have 3 million brackets, commas and texts in 10 MB. No other
# delivery is served while they are gone through.
_MOST_MARKS = 4_000_000

# Outside of escapes, which are masked before: a string, or a mark that opens, closes or separates. A quote alone has no
# partner.
_STRUCTURE = re.compile(rb'"[^"]*"|["\[\]{},]')
_CLOSER = {ord("["): ord("]"), ord("{"): ord("}")}
_QUOTE, _COMMA = ord('"'), ord(",")
_INDEXED = re.compile(rb'\{\s*"[0-9]+"\s*:')
_UNION = re.compile(rb'\{\s*"([A-Za-z_][A-Za-z_0-9.]*)"\s*:')
_DEEPEST_UNION = 4
_MEMBER = re.compile(rb'("(?:[^"\\]|\\.)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class UnsplittableError(Exception):
    """Where one element ends and the next begins cannot be said."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class NamelessMemberError(UnsplittableError):
    """An object has something in it that has no name: what it says cannot be told."""


def array_elements(data: bytes) -> list[bytes]:
    """Return the elements of an array: in one pass if all of them are JSON, else by brackets and commas.

    Raises UnsplittableError.
    """
    if data.count(b",") <= SUSPICIOUS_COMMAS:
        try:
            elements = _elements.decode(data)
        except DECODING_ERRORS:
            pass
        else:
            if len(elements) > MAX_EVENTS:
                raise UnsplittableError(f"more than {MAX_EVENTS} elements")
            return [bytes(element) for element in elements]
    return _children(data)


def object_members(data: bytes) -> dict[str, bytes]:
    """Return the members of an object, as `array_elements` does.

    Raises UnsplittableError.
    """
    if data.count(b",") <= SUSPICIOUS_COMMAS:
        try:
            return {name: bytes(value) for name, value in _members.decode(data).items()}
        except DECODING_ERRORS:
            pass
    return dict(map(_member, _children(data)))


def member_list(members: Mapping[str, bytes], name: str, *, unions: bool) -> list[bytes] | None:
    """Return the elements of a member that stands for a list, None where there is none. Raises UnsplittableError."""
    value = members.get(name)
    if value is None:
        return None
    try:
        return list_within(value_within(value, unions=unions), unions=unions)
    except UnsplittableError:
        if value.startswith(b'"'):
            return None  # a text that only begins like a list
        raise


def list_within(value: bytes, *, unions: bool) -> list[bytes] | None:
    """Return the elements of an array, or of an object with digits for keys; None where nothing stands for a list.

    With `unions`, a union that names its type twice is refused. Raises UnsplittableError.
    """
    if value.startswith(b"["):
        return array_elements(value)
    if not value.startswith(b"{"):
        return None
    if not is_indexed(value):
        if unions and object_members(value).keys() == {"array"}:
            raise UnsplittableError("a union that holds two arrays")
        return None
    indexed = object_members(value)
    if not all(key.isascii() and key.isdigit() for key in indexed):
        return None
    if len(indexed) > MAX_EVENTS:
        raise UnsplittableError(f"more than {MAX_EVENTS} elements")
    return list(indexed.values())


def value_within(data: bytes, *, unions: bool) -> bytes:
    """Return the object or array that JSON text or, with `unions`, Avro's unions hold; everything else as it is."""
    inner = text_within(data)
    for _ in range(_DEEPEST_UNION if unions else 0):
        found = _UNION.match(inner)
        if found is None or not is_union_type(found[1].decode()):
            break
        try:
            members = object_members(inner)
            if len(members) > 1 or lost_members(inner, members):
                break
        except UnsplittableError:
            break
        inner = text_within(*members.values())
    return inner


def is_indexed(value: bytes) -> bool:
    """Tell whether an object begins like a list that was written with digits for keys."""
    return _INDEXED.match(value) is not None


def lost_members(data: bytes, members: Mapping[str, bytes]) -> dict[str, list[bytes]]:
    """Return the values that `members`, the object's in `data`, lack: those of a name that comes again later.

    Raises UnsplittableError.
    """
    # Without the largest, which is the array of events, there is little to go through. Null, since it says nothing.
    largest = max(members.values(), key=len, default=b"")
    rest = data.replace(largest, b"null", 1) if largest else data
    # A name that comes again brings a colon more than is left; of what is escaped, a colon alone makes up for another.
    kept = sum([name.count(":") + 1 for name in members]) + sum([value.count(b":") for value in members.values()])
    if data.count(b":") == kept and b"\\u003" not in rest:
        return {}
    lost: dict[str, list[bytes]] = {}
    for name, value in map(_member, _children(rest)):
        if value not in (b"null", members.get(name)):
            lost.setdefault(name, []).append(value)
    return lost


def _member(child: bytes) -> tuple[str, bytes]:
    """Return the name and the value of an object's member, whose value need not be JSON. Raises UnsplittableError."""
    found = _MEMBER.match(child)
    name = decode_event(found[1]) if found else None
    if found is None or not isinstance(name, str):
        raise NamelessMemberError("an object with something in it that has no name")
    return name, child[found.end() :]


def _children(data: bytes) -> list[bytes]:
    """Return what stands between the brackets and commas of an array or object, in linear time and without recursion.

    What stands there need not be JSON, as long as its brackets and quotes balance; nothing at all, as after a
    trailing comma, is left out. Raises UnsplittableError.
    """
    # From left to right and of equal length, so that a quote that is left opens or closes, at the place it had.
    masked = data.replace(rb"\\", b"__").replace(rb"\"", b"__")
    expected = bytearray()
    children: list[bytes] = []
    start = 1
    for number, token in enumerate(_STRUCTURE.finditer(masked)):
        if number > _MOST_MARKS:
            raise UnsplittableError("more brackets, commas and texts than events have")
        at = token.start()
        mark = masked[at]
        if mark == _QUOTE:
            if token.end() == at + 1:
                raise UnsplittableError("text in quotes that has no end")
            continue
        if mark in _CLOSER:
            expected.append(_CLOSER[mark])
            continue
        if mark != _COMMA and (not expected or expected.pop() != mark):
            raise UnsplittableError("brackets that do not balance")
        if len(expected) == (mark == _COMMA):
            child = data[start:at].strip(JSON_SPACE)
            start = at + 1
            if child:
                children.append(child)
            if len(children) > MAX_EVENTS:
                raise UnsplittableError(f"more than {MAX_EVENTS} elements")
            if not expected:
                break
    if expected or masked[start:].strip(JSON_SPACE):
        raise UnsplittableError("brackets that do not balance" if expected else "more after the last bracket")
    if not children:
        # Only what is no JSON comes here: an empty array would have been one.
        raise UnsplittableError("commas with nothing between them")
    return children
