"""What is sent: events, messages, push bodies. No two events or messages of a run are the same."""

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from xcapi_core.pubsub import PubsubMessage, read_delivery

__all__ = ["NOW", "Sample", "array_of", "delivery_pieces", "next_number", "push_body", "pushed", "sale", "with_phone"]

# Of a raw event, given a number that no other event has.
Sample = Callable[[int], dict[str, object]]

NOW = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
_PUBLISH_TIME = "2026-04-20T12:35:00.123Z"
_SUBSCRIPTION = "projects/bench-project/subscriptions/conversions"
_MARK = 987_654_321_012  # twelve digits that stand where a number goes
_numbers = itertools.count(1)


def next_number(how_many: int = 1) -> int:
    """Return the first of so many numbers that nobody else has got."""
    first = next(_numbers)
    for _ in range(how_many - 1):
        next(_numbers)
    return first


def sale(number: int, **more: object) -> dict[str, object]:
    """Return a purchase with a click id, an e-mail address, a value and one content line."""
    return {
        "event": "purchase",
        "order_id": f"{number:012d}",
        "time": "2026-04-20T14:34:56+02:00",
        "twclid": f"23opevjt88psuo13lu8d{number:012d}",
        "email": f"jane.doe.{number:012d}@example.com",
        "value": 129.9,
        "currency": "EUR",
        "items": [{"item_id": "SKU-1", "item_name": "Walking boots", "price": 129.9, "quantity": 1}],
        **more,
    }


def with_phone(*, national: bool) -> Sample:
    """Return samples with a phone number each, of London's, as E.164 or as it is dialled there."""

    def sample(number: int) -> dict[str, object]:
        subscriber = f"{7_000_0000 + number % 9_000_000}"
        return sale(number, phone=f"020 {subscriber[:4]} {subscriber[4:]}" if national else f"+4420{subscriber}")

    return sample


def array_of(sample: Sample, count: int) -> bytes:
    """Return a message's data: so many events that have not been before."""
    first = next_number(count)
    return msgspec.json.encode([sample(number) for number in range(first, first + count)])


def push_body(data: bytes, *, attributes: Mapping[str, str] | None = None) -> bytes:
    """Return the body of a push request with a new message of this data."""
    return msgspec.json.encode(
        {
            "message": {
                "data": data,
                "attributes": attributes or {},
                "messageId": f"{next_number():012d}",
                "publishTime": _PUBLISH_TIME,
            },
            "subscription": _SUBSCRIPTION,
        }
    )


def pushed(data: bytes) -> PubsubMessage:
    """Return the same as the function reads it."""
    return read_delivery({"content-type": "application/json"}, push_body(data))


def delivery_pieces(sample: Sample) -> str:
    """Return the parts of a single-event delivery's body, a line each, for the load generator to number.

    A line begins with what stands before it: a number as text ("t"), or in base64 ("b").
    """
    mark = f"{_MARK:012d}".encode()
    aligned = b""
    *before, last = msgspec.json.encode(sample(_MARK)).split(mark)
    for part in before:
        opening = part.rindex(b'"')
        # Base64 takes three bytes at a time, so a number begins at a multiple of three. JSON allows the spaces.
        padding = b" " * (-(len(aligned) + len(part)) % 3)
        aligned += part[:opening] + padding + part[opening:] + mark
    aligned += last
    encoded: Sequence[bytes] = [base64.b64encode(part) for part in aligned.split(mark)]
    head = b'{"message":{"data":"' + encoded[0]
    tail = encoded[-1] + b'","messageId":"'
    end = f'","publishTime":"{_PUBLISH_TIME}"}},"subscription":"{_SUBSCRIPTION}"}}'.encode()
    lines = [b"t" + head, *(b"b" + part for part in encoded[1:-1]), b"b" + tail, b"t" + end]
    return b"\n".join(lines).decode() + "\n"
