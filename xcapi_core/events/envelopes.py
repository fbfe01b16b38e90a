"""What stands around the events of a message: how it is taken off, and how it is put around some of them again."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from xcapi_core.events.decoding import DECODING_ERRORS, JSON_SPACE, colons_in, decode_event, decode_every_value
from xcapi_core.events.elements import UnsplittableError, lost_members, object_members
from xcapi_core.events.fields import is_object
from xcapi_core.events.unions import without_unions
from xcapi_core.events.unpacking import text_within
from xcapi_core.problems import Problem
from xcapi_core.records import Record

__all__ = [
    "Around",
    "Envelope",
    "RawEvent",
    "added_bytes",
    "make_envelope",
    "open_cloud_event",
    "put_around",
    "read_around",
    "wrap_events",
]

# CloudEvents 1.0, "Required attributes", less the id.
_CLOUD_EVENT = frozenset({"source", "specversion", "type"})
_CLOUD_DATA = frozenset({"data", "data_base64"})
_CLOUD_EVENT_MARK = b'"specversion"'


class Envelope(Record, frozen=True, kw_only=True, gc=False):
    """The object around an array of events: a Measurement Protocol body, a Segment batch, a CloudEvent.

    `head` and `tail` are its bytes before and after the events. `fields` are its other members, decoded: events
    inherit some of them, and a refusal among them holds for all; so does one among `outer`: those of a CloudEvent
    around it, and the values of what the object names twice. `array` is the name of the member that holds the events.
    `lone` is what came where it holds one event alone, which then leaves it byte for byte as it came.
    """

    head: bytes
    tail: bytes
    fields: Mapping[str, object] = msgspec.field(default_factory=dict)
    outer: Mapping[str, object] = msgspec.field(default_factory=dict)
    array: str = ""
    lone: bytes = b""

    def around(self, events: Sequence[bytes]) -> bytes:
        """Return the envelope with these events in it, and no others."""
        return self.lone or b"%b%b%b" % (self.head, b",".join(events), self.tail)


RawEvent = tuple[Envelope | None, bytes]


def wrap_events(events: Sequence[RawEvent]) -> bytes:
    """Return the data of a message that holds these events of one message, each with its envelope around it.

    Events of one envelope that follow each other share it. Read again, the message holds the same events in the same
    order.
    """
    parts: list[bytes] = []
    for _, group in groupby(events, key=lambda pair: id(pair[0])):
        pairs = list(group)
        envelope, own = pairs[0][0], [event for _, event in pairs]
        parts += own if envelope is None else [envelope.around(own)]
    if len(parts) == 1 and (events[0][0] is not None or len(events) == 1):
        return parts[0]
    return b"[%b]" % b",".join(parts)


def added_bytes(envelope: Envelope | None, event_bytes: bytes, previous: Envelope | None) -> int:
    """Return what an event adds to `wrap_events`, after one in the envelope `previous`, which it may share."""
    around = 0
    if envelope is not None and previous is not envelope:
        around = len(envelope.head) + len(envelope.tail) + len(envelope.lone)
    return around + len(event_bytes) + 1


class Around(Record, frozen=True, kw_only=True, gc=False):
    """The members of an object around events, as the JSON that came and decoded, all at once.

    `text` is the object of these members alone. `decoded` is a problem where it is no JSON.
    """

    members: Mapping[str, bytes]
    text: bytes
    decoded: object

    def fields(self, *, unions: bool) -> dict[str, object]:
        """Return the members as values.

        What cannot be read is kept as something that no consent field means, which is a no.
        """
        fields: dict[str, object] = {}
        if is_object(self.decoded) and len(self.decoded) == len(self.members):
            fields = self.decoded
        else:
            for name, value in self.members.items():
                decoded = decode_event(value)
                fields[name] = "unreadable" if isinstance(decoded, Problem) else decoded
        undone = without_unions(fields) if unions else fields
        return undone if isinstance(undone, dict) else fields

    def says_each_once(self, data: bytes, array: bytes) -> bool:
        """Tell whether `data`, an object of these members and an array, surely names nothing twice, at any depth."""
        colons = data.count(b":") - array.count(b":")
        return is_object(self.decoded) and colons == colons_in(self.decoded) + 1 and b"\\u003" not in self.text


def read_around(members: Mapping[str, bytes]) -> Around:
    """Return the members of an object as they are needed around its events."""
    text = msgspec.json.encode({name: msgspec.Raw(value) for name, value in members.items()})
    return Around(members=members, text=text, decoded=decode_event(text))


def make_envelope(
    around: Around,
    array: str,
    *,
    lost: Mapping[str, Sequence[bytes]] | None,
    unions: bool,
) -> Envelope:
    """Return the envelope of a body with these members around its array of this name.

    `lost` are its `lost_members`, None where it surely names nothing twice.
    """
    return Envelope(
        head=b"%b%b:[" % (_opened(around), msgspec.json.encode(array)),
        tail=b"]}",
        fields=around.fields(unions=unions),
        outer={} if lost is None else _said_besides(around.members, lost, unions=unions),
        array=array,
    )


def put_around(
    events: Iterable[RawEvent], outer: Envelope, lone: bytes, *, is_list: bool = False
) -> tuple[RawEvent, ...]:
    """Return events with one more envelope around the one that each has; those that share one still share one.

    `lone` is the new envelope's; with `is_list` the events without one stood in an array.
    """
    around: dict[int, Envelope] = {}
    enveloped: list[RawEvent] = []
    for inner, event in events:
        if id(inner) not in around:
            around[id(inner)] = _within(outer, inner, lone, is_list=is_list)
        enveloped.append((around[id(inner)], event))
    return tuple(enveloped)


def _within(outer: Envelope, inner: Envelope | None, lone: bytes, *, is_list: bool) -> Envelope:
    if inner is None:
        if not is_list:
            return msgspec.structs.replace(outer, lone=lone)
        inner = Envelope(head=b"[", tail=b"]")
    return Envelope(
        head=outer.head + inner.head,
        tail=inner.tail + outer.tail,
        fields={**outer.fields, **inner.fields},
        outer=_both(_both(inner.outer, outer.outer), outer.fields if inner.fields else {}),
        array=inner.array or outer.array,
        lone=lone,
    )


def _both(some: Mapping[str, object], others: Mapping[str, object]) -> Mapping[str, object]:
    """Return what either says; both where they differ, since any no counts."""
    differing = [name for name in some.keys() & others.keys() if some[name] != others[name]]
    return {**some, **others, **{name: [some[name], others[name]] for name in differing}}


def open_cloud_event(data: bytes, *, unions: bool) -> tuple[Envelope, bytes] | None:
    """Return a structured CloudEvent (JSON format, section 3) and the data in it; None for everything else.

    Raises UnsplittableError.
    """
    if _CLOUD_EVENT_MARK not in data or not data.startswith(b"{"):
        return None
    members = object_members(data)
    if not members.keys() >= _CLOUD_EVENT:
        return None
    lost = lost_members(data, members)
    if not lost.keys().isdisjoint(_CLOUD_DATA) or members.keys() >= _CLOUD_DATA:
        raise UnsplittableError("a CloudEvent that has data twice")
    inner = members.pop("data", None)
    if inner is None:
        try:
            inner = b64decode(msgspec.json.decode(members.pop("data_base64", b""), type=str), validate=True)
        except (*DECODING_ERRORS, Base64Error):
            return None
    around = read_around(members)
    envelope = Envelope(
        head=b'%b"data":' % _opened(around),
        tail=b"}",
        outer={**around.fields(unions=unions), **_said_besides(members, lost, unions=unions)},
        lone=data,
    )
    return envelope, text_within(inner.strip(JSON_SPACE))


def _said_besides(
    members: Mapping[str, bytes], lost: Mapping[str, Sequence[bytes]], *, unions: bool
) -> dict[str, object]:
    """Return what the object, or an object in it, says of a name that comes again later."""
    said: dict[str, object] = {name: [decode_event(value) for value in values] for name, values in lost.items()}
    for name, value in members.items():
        if name in said or not value.startswith((b"{", b"[")):
            continue
        last = decode_event(value)
        if value.count(b":") == colons_in(last) and b"\\u003" not in value:
            continue  # no name more than those that are left
        try:
            every = decode_every_value(value.decode("utf-8", "replace"))
        except DECODING_ERRORS:
            continue
        if every != last:
            said[name] = every
    return {name: without_unions(value, name) for name, value in said.items()} if unions else said


def _opened(around: Around) -> bytes:
    """Return the object of these members, up to where another one begins."""
    return around.text[:-1] + b"," if around.members else b"{"
