"""PubsubMessage → the events in it, each as the bytes that came, and with its envelope, so that each is judged alone.

A Measurement Protocol body, a Segment batch, an array of either, `{"events": […]}`: what says things once for several
events. An event that came alone stays as it is, byte for byte. Elements may be anything, rubbish that is no JSON too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

import msgspec

from xcapi_core.events.decoding import decode_event
from xcapi_core.events.detection import ARRAYS, FORMATS, Format, first_object, format_of, format_of_body
from xcapi_core.events.elements import (
    MAX_EVENTS,
    SUSPICIOUS_COMMAS,
    NamelessMemberError,
    UnsplittableError,
    array_elements,
    is_indexed,
    list_within,
    lost_members,
    member_list,
    object_members,
    value_within,
)
from xcapi_core.events.envelopes import RawEvent, make_envelope, open_cloud_event, put_around, read_around
from xcapi_core.events.fields import is_object
from xcapi_core.events.unions import has_unions, without_unions
from xcapi_core.events.unpacking import unpack
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.records import Record

__all__ = ["RawMessage", "Unreadable", "lone_format", "split_message"]

# What only an event has: with it, an array of such a name is just one of the event's fields.
_EVENT_NAMES: Final[Mapping[Format, frozenset[str]]] = {
    "x": frozenset(),
    "ga4": frozenset({"event_name", "name", "params", "event_params"}),
    "segment": frozenset({"event", "properties", "traits"}),
}
_MARKS: Final = re.compile(rb'"(?:events|conversions|batch|specversion)"')
# The same in a list, whose elements may be JSON text, or that in JSON text.
_MARKS_IN_LIST: Final = re.compile(rb'"(?:events|conversions|batch|specversion)\\*"')
_DEEPEST = 5  # bodies and CloudEvents in one another, in an array


class RawMessage(Record, frozen=True, kw_only=True, gc=False):
    """The events of a message, in order, each with its envelope, if it has one.

    `decoded` is the value of an event that came alone: it had to be decoded to tell that it is one.
    """

    _shown: ClassVar[tuple[str, ...]] = ("format",)

    format: Format
    events: tuple[RawEvent, ...]
    decoded: object = msgspec.UNSET


class Unreadable(Record, frozen=True, gc=False):
    """No event can be told from another in this message: it is dead-lettered as a whole (`invalid_message`).

    `envelope` holds what may say no for all of them: the members of the object around the events, or the whole.
    """

    _shown: ClassVar[tuple[str, ...]] = ("problem",)

    problem: Problem
    envelope: Mapping[str, object] = msgspec.field(default_factory=dict)


def split_message(message: PubsubMessage) -> RawMessage | Unreadable:
    """Return the events of a message: one object, an array, or an object with an array of events."""
    stated = message.attributes.get("format", "").strip().lower()
    form = next((known for known in FORMATS if known == stated), None)
    if stated and form is None:
        problem = Problem(
            path="attributes.format", found="a name of no format", expected="one of " + ", ".join(FORMATS)
        )
        return Unreadable(problem, _said_for_all(message))
    data = unpack(message.data)
    if isinstance(data, Problem):
        return Unreadable(data)
    if not data:
        return _unreadable("no data", "a JSON object or array")
    unions = has_unions(message.attributes)
    try:
        return _split(value_within(data, unions=unions), message.data, form, unions=unions)
    except UnsplittableError as error:
        return _unreadable(error.found, "a JSON object or array")


def lone_format(data: bytes, *, unions: bool = False) -> Format | None:
    """Return the format that a message with this data is taken for; None if it cannot be read."""
    unpacked = unpack(data)
    if isinstance(unpacked, Problem) or not unpacked:
        return None
    try:
        split = _split(value_within(unpacked, unions=unions), data, None, unions=unions)
    except UnsplittableError:
        return None
    return split.format if isinstance(split, RawMessage) else None


def format_to_state(attributes: Mapping[str, str], form: str, data: bytes) -> str:
    """Return the format that a message with this data must state for its first event to be read as `form`; "" for none.

    Among its neighbours an event is read in their format; by itself it may be taken for another.
    """
    if not form or "format" in attributes:
        return ""
    return "" if lone_format(data, unions=has_unions(attributes)) == form else form


def _unreadable(found: str, expected: str, said: Mapping[str, object] | None = None) -> Unreadable:
    return Unreadable(Problem(path="data", found=found, expected=expected), said or {})


def _said_for_all(message: PubsubMessage) -> Mapping[str, object]:
    """Return what a message of no known format says for all of its events: around them, or in the only one."""
    attributes = {name: value for name, value in message.attributes.items() if name != "format"}
    split = split_message(msgspec.structs.replace(message, attributes=attributes))
    if isinstance(split, Unreadable):
        return split.envelope
    envelopes = {id(envelope): envelope for envelope, _ in split.events}
    said: dict[str, object] = {}
    if len(envelopes) == 1:
        (envelope,) = envelopes.values()
        said |= {} if envelope is None else {"context": [envelope.fields, envelope.outer]}
    if len(split.events) == 1:
        said["events"] = [split.decoded if is_object(split.decoded) else decode_event(split.events[0][1])]
    return said


def _split(data: bytes, whole: bytes, form: Format | None, *, unions: bool, depth: int = 0) -> RawMessage | Unreadable:
    """Split data without anything around it; `whole` is the same as it came. Raises UnsplittableError."""
    if data.startswith(b"["):
        return _split_array(array_elements(data), data, form, unions=unions, depth=depth)
    if not data.startswith(b"{"):
        raise UnsplittableError("neither an object nor an array")
    if depth > _DEEPEST:
        return _lone(data, whole, form, unions=unions)
    if is_indexed(data) and (elements := list_within(data, unions=unions)) is not None:
        return _split_array(elements, data, form, unions=unions, depth=depth)
    if not _MARKS.search(data):
        return _lone(data, whole, form, unions=unions)
    wrapped = open_cloud_event(data, unions=unions)
    if wrapped is not None:
        cloud_event, inner = wrapped[0], value_within(wrapped[1], unions=unions)
        split = _split(inner, inner, form, unions=unions, depth=depth + 1)
        if isinstance(split, Unreadable):
            return msgspec.structs.replace(split, envelope={"context": [cloud_event.outer, split.envelope]})
        lone = whole if len(split.events) == 1 else b""
        events = put_around(split.events, cloud_event, lone, is_list=inner.startswith(b"["))
        return msgspec.structs.replace(split, events=events)
    members = object_members(data)
    form = form or format_of_body(members, unions=unions)
    held = _events_of_body(members, data, whole, form, unions=unions, depth=depth)
    if held is None:
        return _lone(data, whole, form, unions=unions)
    return held if isinstance(held, Unreadable) else RawMessage(format=form, events=held)


def _split_array(elements: list[bytes], data: bytes, form: Format | None, *, unions: bool, depth: int) -> RawMessage:
    form = form or format_of_body(first_object(elements, unions=unions), unions=unions)
    if not _MARKS_IN_LIST.search(data):
        return RawMessage(format=form, events=tuple([(None, element) for element in elements]))
    return RawMessage(format=form, events=_events_within(elements, form, unions=unions, depth=depth))


def _events_within(elements: Iterable[bytes], form: Format, *, unions: bool, depth: int) -> tuple[RawEvent, ...]:
    """Return the events that the elements of a list are or hold. Raises UnsplittableError."""
    events: list[RawEvent] = []
    for element in elements:
        events += _events_of_element(element, form, unions=unions, depth=depth + 1)
        if len(events) > MAX_EVENTS:
            raise UnsplittableError(f"more than {MAX_EVENTS} elements")
    return tuple(events)


def _events_of_element(element: bytes, form: Format, *, unions: bool, depth: int) -> Iterable[RawEvent]:
    inner = value_within(element, unions=unions)
    if inner.startswith(b"{") and _MARKS.search(inner):
        try:
            split = _split(inner, element, form, unions=unions, depth=depth)
        except UnsplittableError:
            return ((None, element),)  # the reader says why; the other elements are read
        if isinstance(split, RawMessage):
            return split.events
    return ((None, element),)


def _lone(data: bytes, whole: bytes, form: Format | None, *, unions: bool) -> RawMessage | Unreadable:
    if data.count(b",") > SUSPICIOUS_COMMAS:
        object_members(data)  # refuses members by the million before they cost memory
    event = decode_event(data)
    if unions:
        event = without_unions(event)
    if is_object(event):
        return RawMessage(format=form or format_of(event), events=((None, whole),), decoded=event)
    if form in (None, "x"):
        try:
            form = form or format_of_body(object_members(data), unions=unions)
        except NamelessMemberError:
            form = "x"
        if form == "x":
            return Unreadable(event if isinstance(event, Problem) else _not_an_object())
    return RawMessage(format=form, events=((None, whole),), decoded=event)


def _not_an_object() -> Problem:
    return Problem(path="data", found="a union that holds no object", expected="a JSON object")


def _events_of_body(
    members: Mapping[str, bytes], data: bytes, whole: bytes, form: Format, *, unions: bool, depth: int
) -> tuple[RawEvent, ...] | Unreadable | None:
    """Return a body's events, None where the object is an event itself."""
    if not _EVENT_NAMES[form].isdisjoint(members):
        return None
    found = [(name, list_) for name in ARRAYS[form] if (list_ := member_list(members, name, unions=unions)) is not None]
    if not found:
        return None
    arrays = dict(found)
    around = read_around({name: value for name, value in members.items() if name not in arrays})
    lost = None if around.says_each_once(data, members[found[0][0]]) else lost_members(data, members)
    twice = [name for name, _ in found if name in (lost or ())]
    if twice or len(found) > 1:
        # They stay together in one dead letter, so a refusal in one of the events holds for all.
        body = make_envelope(read_around(members), "", lost=lost, unions=unions)
        said = {"context": [body.fields, body.outer]}
        if twice:
            return _unreadable(f"{twice[0]} twice", "one array", said)
        return _unreadable(f"both {found[0][0]} and {found[1][0]}", "one of the two arrays", said)
    ((array, elements),) = found
    marks = _MARKS_IN_LIST.finditer(data)
    if next(marks, None) and next(marks, None):
        events = _events_within(elements, form, unions=unions, depth=depth)
    else:
        events = tuple([(None, element) for element in elements])
    lone = whole if len(events) == 1 else b""
    if not (around.members or lone):
        return events
    return put_around(events, make_envelope(around, array, lost=lost, unions=unions), lone)
