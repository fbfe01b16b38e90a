"""What is handed over, or dead-lettered and replayed, is read as in its message: the very same conversions."""

import gzip
import json
import zlib
from typing import Any

import pytest

from tests.fakes import FakePublisher, FakeX, Handler, delivery, failed, ok
from tests.handling import ACK, HandlerRig
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.protocol import HttpResponse

NUMBERS = range(12)


def x_event(number: int) -> dict[str, Any]:
    return {"event": "purchase", "twclid": f"click{number}", "value": number, "currency": "EUR"}


def ga4_event(number: int) -> dict[str, Any]:
    return {"name": "purchase", "params": {"transaction_id": f"t{number}", "value": number, "currency": "EUR"}}


def track(number: int) -> dict[str, Any]:
    properties = {"order_id": f"o{number}", "revenue": number, "currency": "EUR"}
    context = {"traits": {"email": f"jane.{number}@example.com"}}
    return {"type": "track", "event": "Order Completed", "properties": properties, "context": context}


def avro(number: int) -> dict[str, Any]:
    return {"event": {"string": "purchase"}, "twclid": {"string": f"click{number}"}, "value": {"double": number}}


XS = [x_event(number) for number in NUMBERS]
PACKED = json.dumps(XS).encode()
GA4_BODY = {
    "client_id": "1.2",
    "timestamp_micros": 1_776_688_496_000_000,
    "user_data": {"sha256_email_address": "a" * 64},
    "user_agent": "Mozilla/5.0",
    "events": [ga4_event(number) for number in NUMBERS],
}
EVENT_DATA = [
    {"event_name": "purchase", "client_id": "1.2", "transaction_id": f"t{n}", "user_data": {"email_address": "a@b.co"}}
    for n in NUMBERS
]
SHAPES: dict[str, tuple[bytes, dict[str, str]]] = {
    "array": (PACKED, {}),
    "events": (json.dumps({"events": XS}).encode(), {}),
    "conversions": (json.dumps({"conversions": XS}).encode(), {}),
    "text of JSON": (json.dumps(PACKED.decode()).encode(), {}),
    "gzip": (gzip.compress(PACKED), {}),
    "digits for keys": (json.dumps({"events": {str(number): XS[number] for number in NUMBERS}}).encode(), {}),
    "Measurement Protocol": (json.dumps(GA4_BODY).encode(), {}),
    "Measurement Protocol, with the format": (json.dumps(GA4_BODY).encode(), {"format": "ga4"}),
    "event data": (json.dumps(EVENT_DATA).encode(), {}),
    "Segment batch": (json.dumps({"batch": [track(number) for number in NUMBERS]}).encode(), {}),
    "Segment calls": (json.dumps([track(number) for number in NUMBERS]).encode(), {}),
    "Avro": (
        json.dumps([avro(number) for number in NUMBERS]).encode(),
        {"googclient_schemaencoding": "JSON"},
    ),
    "structured CloudEvents": (
        json.dumps(
            [
                {"specversion": "1.0", "id": f"{event['twclid']}", "source": "s", "type": "t", "data": event}
                for event in XS
            ]
        ).encode(),
        {},
    ),
}


UNAVAILABLE = failed(503)
REFUSED = failed(400, {"code": "INVALID_PARAMETER", "message": "no"})


class Taking:
    """X that takes what it is sent, but answers otherwise to about half of it, chosen by the bytes."""

    def __init__(self, otherwise: HttpResponse | None = None) -> None:
        self.taken: list[str] = []
        self._otherwise = otherwise

    @property
    def handler(self) -> Handler:
        def handle(conversions: list[dict[str, object]]) -> HttpResponse:
            wires = [json.dumps(conversion, sort_keys=True) for conversion in conversions]
            if self._otherwise and any(zlib.crc32(wire.encode()) % 2 for wire in wires):
                return self._otherwise
            self.taken += wires
            return ok(len(conversions))

        return handle


async def delivered(
    message_data: bytes, attributes: dict[str, str], otherwise: HttpResponse | None = None
) -> tuple[list[str], int]:
    """Return what X has in the end, and how much of it came by remainders and replayed dead letters."""
    x, topic = Taking(otherwise), FakePublisher()
    # One conversion a request, so that some are settled and others are not.
    rig = HandlerRig(FakeX(x.handler), remainder=topic, batch=BatchSettings(max_conversions=1))
    message = delivery(message_data, attributes, message_id="17", publish_time="2026-04-20T12:34:56.789Z")
    assert await rig.handler.handle(message) == ACK
    later = Taking()
    other_instance = HandlerRig(FakeX(later.handler))
    for number, left in enumerate([*topic.messages, *rig.dead_letters.messages]):
        again = delivery(left.data, dict(left.attributes), message_id=f"r{number}", publish_time="2026-04-20T13:00:00Z")
        assert await other_instance.handler.handle(again) == ACK
    assert not other_instance.dead_letters.messages
    return sorted([*x.taken, *later.taken]), len(later.taken)


@pytest.mark.parametrize("otherwise", [UNAVAILABLE, REFUSED], ids=["handed over", "dead-lettered and replayed"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_left_of_a_message_is_read_as_it_was_in_it(shape: str, otherwise: HttpResponse) -> None:
    data, attributes = SHAPES[shape]
    whole, _ = await delivered(data, attributes)
    in_two_steps, later = await delivered(data, attributes, otherwise)
    assert len(whole) == len(NUMBERS)
    assert 0 < later < len(NUMBERS)
    assert in_two_steps == whole
