"""May this event be sent? An event's consent signals, judged as a whole."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from xcapi_core.events.consent_objects import UNREADABLE
from xcapi_core.events.consent_signals import Signals
from xcapi_core.events.consent_values import Consent
from xcapi_core.events.decoding import DECODING_ERRORS, colons_in, decode_event, decode_every_value
from xcapi_core.events.fields import is_object
from xcapi_core.events.unions import without_unions
from xcapi_core.events.unpacking import text_within, unpack
from xcapi_core.problems import Problem

__all__ = ["UNSAID", "Consent", "Judgement", "allows", "judge", "may_send"]

Policy = Literal["respect", "require", "ignore"]


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What an event says as a whole.

    `codes` name what could not be read (`unreadable_consent`, `consent_categories_missing`: the event says no) and what
    is not interpreted (`unread_consent`).
    """

    says: Consent
    codes: tuple[str, ...] = ()


UNSAID: Final = Judgement(Consent.UNSAID)


def judge(*places: object, categories: Sequence[str], event_bytes: bytes = b"", unions: bool = False) -> Judgement:
    """Judge an event, and what stands around it, by all their signals: any no wins over any yes.

    Of what an object names twice a JSON decoder keeps the last value: where `event_bytes` may do so with a signal or a
    place of signals, the others are judged as well. With `unions` the bytes are in Avro's JSON encoding.

    The places are what a JSON decoder gives; nothing is raised for any value. `categories` are the pixel's
    `consent_categories`, by which Segment's and RudderStack's preferences are read. A null says nothing: exports fill
    absent columns with it.
    """
    signals = Signals(categories)
    said: list[Consent] = []
    # The event itself last: its rows are counted.
    for place in reversed(places):
        if place and is_object(place):
            signals.add_place(place)
            said += signals.read()
        elif isinstance(place, list):  # no event, but what is kept of it holds nobody's refusal
            signals.doubt(place)
            said += signals.read()
    if event_bytes and Consent.NO not in said and (signals.were_met or unions):
        written = _as_json(event_bytes)
        if _may_name_twice(written, decode_event(written) if unions else places[0]):
            said += [_all_of(signals, written, unions=unions), *signals.read()]
    says = Consent.NO if Consent.NO in said else Consent.YES if Consent.YES in said else Consent.UNSAID
    if says is Consent.UNSAID and not signals.codes:
        return UNSAID
    return Judgement(says, tuple(signals.codes))


def _as_json(event_bytes: bytes) -> bytes:
    """Return an event's JSON: one that came alone may be packed."""
    if event_bytes.startswith(b"{"):
        return event_bytes
    unpacked = unpack(event_bytes)
    return b"" if isinstance(unpacked, Problem) else text_within(unpacked)


def _all_of(signals: Signals, event_bytes: bytes, *, unions: bool) -> Consent:
    """Add the places of an event with every value of what it names twice."""
    try:
        event = decode_every_value(event_bytes.decode("utf-8", "replace"))
    except DECODING_ERRORS:
        return signals.refuse(UNREADABLE)
    return signals.add_places_in(without_unions(event) if unions else event)


def _may_name_twice(event_bytes: bytes, event: object) -> bool:
    """Tell whether an object in an event may name something twice: of that there is one colon more than is left."""
    # Of what a text has escaped, a colon alone makes up for another.
    return event_bytes.count(b":") != colons_in(event) or b"\\u003" in event_bytes


def allows(judgement: Judgement, policy: Policy) -> bool:
    """Tell whether a policy lets an event go that says this."""
    if policy == "ignore":
        return True
    return judgement.says is Consent.YES or (judgement.says is Consent.UNSAID and policy == "respect")


def may_send(event: object, *, policy: Policy, categories: Sequence[str]) -> bool:
    """Tell whether the configured policy lets this event go to X."""
    return policy == "ignore" or allows(judge(event, categories=categories), policy)
