"""How long an event takes from its bytes to its conversion, beside what no reader can do without."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from tests.benchmarks.measuring import Table, medians_s
from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.raw_events import Format, decode_event
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["measure_reading"]

EVENTS = 2_000
NOW = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
SETTINGS = Settings(
    dead_letter_topic="file:letters",
    pixels={"o8z6j": PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={"purchase": "tw-o8z6j-o8z21"})},
    default_phone_region="GB",
)


def _x_event(number: int, **more: object) -> dict[str, object]:
    return {
        "event": "purchase",
        "order_id": f"order-{number}",
        "time": "2026-04-20T14:34:56+02:00",
        "twclid": f"23opevjt88psuo13lu8d{number:06d}",
        **more,
    }


def _x_sale(number: int, **more: object) -> dict[str, object]:
    line = {"item_id": f"SKU-{number}", "item_name": "Walking boots", "price": 129.9, "quantity": 1}
    return _x_event(number, email=f"jane.doe.{number}@example.com", value=129.9, currency="EUR", items=[line], **more)


# A dialect's line is its name, what the event holds, and how the n-th event looks.
SAMPLES: Sequence[tuple[Format, str, Callable[[int], dict[str, object]]]] = (
    ("x", "click id", _x_event),
    ("x", "click id, e-mail, value, one content line", _x_sale),
    ("x", "the same with a phone number, E.164", lambda n: _x_sale(n, phone=f"+4420{70_000_000 + n}")),
    (
        "x",
        "the same with a phone number, national",
        lambda n: _x_sale(n, phone=f"020 {7000 + n // 10_000} {n % 10_000:04d}"),
    ),
)


def measure_reading() -> Table:
    """Compare reading with a plain decode, and with decode, one hash and encode: the floor of any reader."""
    return Table(
        title="Reading an event into a conversion",
        columns=("event", "µs", "events/s", "× decode", "× decode+hash+encode"),
        rows=[_row(dialect, held, sample) for dialect, held, sample in SAMPLES],
    )


def _row(dialect: Format, held: str, sample: Callable[[int], dict[str, object]]) -> tuple[str, ...]:
    raw = [msgspec.json.encode(sample(number)) for number in range(EVENTS)]
    taken = medians_s(
        {"read": lambda: _read(raw, dialect), "decode": lambda: _decode(raw), "floor": lambda: _floor(raw)}
    )
    return (
        f"{dialect}: {held}",
        f"{taken['read'] / EVENTS * 1e6:.1f}",
        f"{EVENTS / taken['read']:,.0f}",
        f"{taken['read'] / taken['decode']:.1f}",
        f"{taken['read'] / taken['floor']:.1f}",
    )


def _read(raw: Sequence[bytes], dialect: Format) -> None:
    for index, event_bytes in enumerate(raw):
        source = EventSource(
            event_bytes=event_bytes,
            event_index=index,
            message_pixel_id=None,
            publish_time=NOW,
            publish_time_text="2026-04-20T12:35:00.000Z",
            received_at=NOW,
            conversion_id=None,
            format_is_stated=False,
        )
        result = read_event(decode_event(event_bytes), source, SETTINGS, dialect)
        if not isinstance(result, Conversion) or result.dropped:
            raise AssertionError(f"the sample is not what it should be: {result}")


def _decode(raw: Sequence[bytes]) -> None:
    for event_bytes in raw:
        msgspec.json.decode(event_bytes)


def _floor(raw: Sequence[bytes]) -> None:
    for event_bytes in raw:
        event = msgspec.json.decode(event_bytes)
        event["email"] = hashlib.sha256(b"jane.doe@example.com").hexdigest()
        msgspec.json.encode(event)
