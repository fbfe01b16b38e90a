"""What stands around the events of a message, and how it is put around some of them again."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from xcapi_core.records import Record

__all__ = ["Envelope", "wrap_events"]


class Envelope(Record, frozen=True, gc=False):
    """The object around an array of events: a Measurement Protocol body, a Segment batch, a CloudEvent.

    `head` and `tail` are its bytes before and after the events. `fields` are its other members, decoded: events
    inherit some of them, and a refusal among them holds for all. `lone` is the message's data where it holds just one
    event, which then leaves it byte for byte as it came.
    """

    head: bytes
    tail: bytes
    fields: Mapping[str, object]
    lone: bytes = b""

    def around(self, events: Sequence[bytes]) -> bytes:
        """Return the envelope with these events in it, and no others."""
        return self.lone or b"%b%b%b" % (self.head, b",".join(events), self.tail)


def wrap_events(events: Sequence[tuple[Envelope | None, bytes]]) -> bytes:
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
