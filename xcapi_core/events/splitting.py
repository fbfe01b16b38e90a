"""PubsubMessage → the events in it, each as the bytes that came, so that each is judged alone."""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.records import Record

__all__ = [
    "DECODING_ERRORS",
    "MAX_EVENTS",
    "Format",
    "RawMessage",
    "Unreadable",
    "UnsplittableError",
    "array_elements",
    "decode_event",
    "lone_format",
    "object_members",
    "split_message",
]

Format = Literal["x", "ga4", "segment"]
_FORMATS: tuple[Format, ...] = ("x", "ga4", "segment")

# The smallest event that X could take has 29 bytes, so 10 MB hold no more than this many; more is rubbish by the
# million, and would cost memory by the gigabyte.
MAX_EVENTS = 350_000
# Ten bytes between two commas on average, all over a message of full size: counted before it is split.
_SUSPICIOUS_COMMAS = 1_000_000

# The smallest events that X could take have 3 million brackets, commas and texts in 10 MB. Nobody is served while they
# are gone through.
_MOST_MARKS = 4_000_000

_BOM = b"\xef\xbb\xbf"
_SEGMENT_TYPES = frozenset({b'"track"', b'"identify"', b'"page"', b'"screen"', b'"group"', b'"alias"'})
_GA4_KEYS = frozenset({"params", "event_params", "client_id", "app_instance_id", "ip_override"})
_GA4_PREFIXES = ("x-ga-", "x-sst-")

# Outside of escapes, which are masked before: a string, or a mark that opens, closes or separates. A quote alone has no
# partner.
_STRUCTURE = re.compile(rb'"[^"]*"|["\[\]{},]')
_CLOSER = {ord("["): ord("]"), ord("{"): ord("}")}
_QUOTE, _COMMA = ord('"'), ord(",")
_MEMBER = re.compile(rb'"([^"\\]{0,64})"[ \t\r\n]*:[ \t\r\n]*')
_SPACE = b" \t\r\n"
# JavaScript cuts an emoji in two and escapes the half, a surrogate alone, which RFC 8259 allows and no UTF-8 can hold.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)

_UNREADABLE_NUMBER = Decimal("Infinity")

_events = msgspec.json.Decoder(float_hook=Decimal)
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
# All that a decoder can raise at bytes from outside; the arithmetic one is Decimal's at an exponent of many digits.
DECODING_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError, ValueError)


class RawMessage(Record, frozen=True, kw_only=True, gc=False):
    """The events of a message, in order, as bytes of it. With `ga4` and `segment` the one element is all its data.

    `envelope` is what else stands in the object around an array of events, member by member, as bytes.
    """

    _shown: ClassVar[tuple[str, ...]] = ("format",)

    format: Format
    events: tuple[bytes, ...]
    envelope: Mapping[str, bytes] = msgspec.field(default_factory=dict)


class Unreadable(Record, frozen=True, gc=False):
    """No event can be told from another in this message: it is dead-lettered as a whole (`invalid_message`).

    `envelope` is as in `RawMessage`: it may say no for all of them.
    """

    _shown: ClassVar[tuple[str, ...]] = ("problem",)

    problem: Problem
    envelope: Mapping[str, bytes] = msgspec.field(default_factory=dict)


def split_message(message: PubsubMessage) -> RawMessage | Unreadable:
    """Return the events of a message: one object, an array, or an object with the array `events` or `conversions`.

    An event that came alone is the message's data, byte for byte. An array's elements may be anything, rubbish that is
    no JSON too: `decode_event` says so of each one.
    """
    form = message.attributes.get("format", "").strip().lower()
    if form and form not in _FORMATS:
        return _unreadable("a name of no format", "one of " + ", ".join(_FORMATS), path="attributes.format")
    data = message.data.removeprefix(_BOM).strip(_SPACE)
    if not data:
        return _unreadable("no data", "a JSON object or array")
    if form in ("ga4", "segment"):
        return RawMessage(format=form, events=(message.data,))
    try:
        if data.startswith(b"["):
            return _split_array(message, data, detect=not form)
        if data.startswith(b"{"):
            return _split_object(message, data, detect=not form)
    except UnsplittableError as error:
        return _unreadable(error.found, "a JSON object or array")
    return _unreadable("neither an object nor an array", "a JSON object or array")


def lone_format(event_bytes: bytes) -> Format | None:
    """Return the format in which an event would be read if it came alone; None if it could not be."""
    try:
        members = object_members(event_bytes.removeprefix(_BOM).strip(_SPACE))
    except UnsplittableError:
        return None
    return _format_of(members)


def decode_event(event_bytes: bytes) -> object | Problem:
    """Return the JSON value of one event, fractions as Decimal, or the problem why it is none.

    Of a key that comes twice the last value counts. A surrogate without its other half becomes U+FFFD, and a number too
    long to be read Infinity, which is no amount, time or count: it is judged where it stands, not the whole event.
    """
    text = event_bytes.removeprefix(_BOM)
    try:
        value = _decode_leniently(text)
    except UnicodeDecodeError:
        found = "bytes that are no UTF-8"
    except RecursionError:
        found = "JSON nested too deeply"
    except DECODING_ERRORS:
        found = "text that is no JSON" if event_bytes else "nothing"
    else:
        return value
    return Problem(path="$", found=found, expected="a JSON object")


def _decode_leniently(text: bytes) -> object:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_without_lone_surrogate, text)
        if mended == text:
            raise
        return _decode(mended)


def _decode(text: bytes) -> object:
    try:
        return _events.decode(text)
    except (msgspec.ValidationError, ArithmeticError):
        # Python refuses integers of more than 4,300 digits, and Decimal exponents of more than 18. Only this decoder
        # asks about each number.
        return json.loads(
            text.decode(), parse_int=_whole_number, parse_float=_fraction, parse_constant=_refuse_constant
        )


def _whole_number(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:
        return _UNREADABLE_NUMBER


def _fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except ArithmeticError:
        return _UNREADABLE_NUMBER


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


class UnsplittableError(Exception):
    """Where one element ends and the next begins cannot be said."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def _unreadable(found: str, expected: str, *, path: str = "data") -> Unreadable:
    return Unreadable(Problem(path=path, found=found, expected=expected))


def _split_array(message: PubsubMessage, data: bytes, *, detect: bool) -> RawMessage:
    elements = array_elements(data)
    return _raw_message(message, _format_of(_first_object(elements)) if detect else "x", elements)


def _split_object(message: PubsubMessage, data: bytes, *, detect: bool) -> RawMessage | Unreadable:
    members = object_members(data)
    form = _format_of(members) if detect else "x"
    if form != "x":
        return _raw_message(message, form, ())
    arrays = [name for name in ("events", "conversions") if members.get(name, b"").startswith(b"[")]
    if len(arrays) > 1:
        problem = Problem(path="data", found="both events and conversions", expected="one of the two arrays")
        return Unreadable(problem, {name: value for name, value in members.items() if name not in arrays})
    if arrays:
        elements = array_elements(members[arrays[0]])
        sample = _first_object(elements) if detect else {}
        # A Measurement Protocol body; X's own events have no name.
        is_ga4 = arrays == ["events"] and "name" in sample
        envelope = {name: value for name, value in members.items() if name != arrays[0]}
        return _raw_message(message, "ga4" if is_ga4 else _format_of(sample), elements, envelope)
    lone = decode_event(message.data)
    return Unreadable(lone) if isinstance(lone, Problem) else RawMessage(format="x", events=(message.data,))


def _raw_message(
    message: PubsubMessage, form: Format, elements: Iterable[bytes], envelope: Mapping[str, bytes] | None = None
) -> RawMessage:
    if form != "x":
        return RawMessage(format=form, events=(message.data,))
    return RawMessage(format=form, events=tuple(elements), envelope=envelope or {})


def _format_of(members: Mapping[str, bytes]) -> Format:
    """Tell the format by the keys of a message or of its first event."""
    if members.get("type") in _SEGMENT_TYPES or members.get("batch", b"").startswith(b"["):
        return "segment"
    if not _GA4_KEYS.isdisjoint(members) or any(name.startswith(_GA4_PREFIXES) for name in members):
        return "ga4"
    return "x"


def _first_object(elements: Iterable[bytes]) -> Mapping[str, bytes]:
    for element in elements:
        if element.startswith(b"{"):
            try:
                return {name: bytes(value) for name, value in _members.decode(element).items()}
            except DECODING_ERRORS:
                continue
    return {}


def array_elements(data: bytes) -> list[bytes]:
    """Return the elements of an array: in one pass if all of them are JSON, else by brackets and commas.

    Raises UnsplittableError.
    """
    if data.count(b",") <= _SUSPICIOUS_COMMAS:
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
    """Return the members of an object, as `array_elements` does; without what is no member at all.

    Raises UnsplittableError.
    """
    if data.count(b",") <= _SUSPICIOUS_COMMAS:
        try:
            return {name: bytes(value) for name, value in _members.decode(data).items()}
        except DECODING_ERRORS:
            pass
    members = ((_MEMBER.match(child), child) for child in _children(data))
    return {key[1].decode("utf-8", "replace"): child[key.end() :] for key, child in members if key}


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
            child = data[start:at].strip(_SPACE)
            start = at + 1
            if child:
                children.append(child)
            if len(children) > MAX_EVENTS:
                raise UnsplittableError(f"more than {MAX_EVENTS} elements")
            if not expected:
                break
    if expected or masked[start:].strip(_SPACE):
        raise UnsplittableError("brackets that do not balance" if expected else "more after the last bracket")
    if not children:
        # Only what is no JSON comes here: an empty array would have been one.
        raise UnsplittableError("commas with nothing between them")
    return children
