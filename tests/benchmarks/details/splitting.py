"""How long a message of 9 MB holds the event loop while it is cut into events."""

import msgspec

from tests.benchmarks.details.measuring import detail, medians_s
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from tests.handling import event, message
from xcapi_core.events.splitting import RawMessage, split_message
from xcapi_core.pubsub import PubsubMessage

__all__ = ["measure"]

MESSAGE_BYTES = 9_000_000
ROUNDS = 5


def measure(_run: Run) -> list[Result]:
    """Compare the one pass over clean JSON with the way around an element that is none."""
    small = [
        event(f"order-{number}", email=f"jane.doe.{number}@example.com", value="129.90") for number in range(1_000)
    ]
    large = [{**one, "description": '\\"quoted\\" ' * 40} for one in small]
    messages = {
        "events of 0.2 kB, all JSON": _message_of(small, rubbish=b""),
        "events of 0.2 kB, one of them none": _message_of(small, rubbish=b"nul"),
        "events of 1.3 kB full of quotes, all JSON": _message_of(large, rubbish=b""),
        "events of 1.3 kB full of quotes, one of them none": _message_of(large, rubbish=b"nul"),
        "commas and nothing else": message(data=b"[" + b"," * (MESSAGE_BYTES - 2) + b"]"),
    }
    taken = medians_s({name: lambda one=one: split_message(one) for name, one in messages.items()}, rounds=ROUNDS)  # type: ignore[misc]  # binds the loop's variable
    rows = []
    for name, one in messages.items():
        split = split_message(one)
        count = len(split.events) if isinstance(split, RawMessage) else 0
        rows.append((name, f"{count:,}", f"{taken[name] * 1e3:,.0f}", f"{len(one.data) / taken[name] / 1e6:,.0f}"))
    table = Table(
        title="Cutting a message of 9 MB into events",
        columns=("message", "events", "ms", "MB/s"),
        rows=rows,
        note="The event loop serves nobody else meanwhile.",
    )
    slowest = max(taken.values())
    return detail(table, f"{slowest * 1e3:,.0f} ms at worst", slowest_ms=slowest * 1e3)


def _message_of(events: list[dict[str, object]], *, rubbish: bytes) -> PubsubMessage:
    encoded = [msgspec.json.encode(one) for one in events]
    size = sum(len(one) + 1 for one in encoded)
    elements = encoded * (MESSAGE_BYTES // size)
    return message(data=b"[" + b",".join([*elements, *([rubbish] if rubbish else [])]) + b"]")
