"""What is published: every message is a function of the seed and its number, so none has to be kept. Pure."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from tests.soak.evidence import End, EventKey

__all__ = [
    "MARK",
    "REFUSED_NAMED",
    "REFUSED_UNNAMED",
    "Backlog",
    "Message",
    "Plan",
    "Publication",
    "conversion_id",
    "event_key",
]

# In every e-mail address, and in nothing that may be logged.
MARK = "soak.example"
# X refuses the conversions whose id ends in one of these, with the id in its words, and without.
REFUSED_NAMED = "-named"
REFUSED_UNNAMED = "-unnamed"

_SINGLES = 0.85
_SMALLEST_PACK, _LARGEST_PACK = 10, 500
_UNREADABLE = 0.01  # of the single events
_NO_CONSENT = 0.03
_INVALID = 0.01
_REFUSED = 0.01
_UNNAMED = 0.1  # of the refused: X names most of what it refuses, and a bisection for the others takes many requests
_SECOND_PIXEL = 0.4
_SECOND = "p9q7k"
# Pub/Sub delivers at least once: so many acked messages come again, and as many twice at a time.
_DELIVERED_AGAIN = 0.01

_ITEMS = json.dumps(
    [{"item_id": f"SKU-{n}", "item_name": f"Walking boots {n}, " + "brown " * 20, "price": 1.5} for n in range(10)]
).encode()
_ALL_DELIVERED = (End.DELIVERED,) * _LARGEST_PACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `again` says whether Pub/Sub delivers it once too often: "", "beside" (at once) or "after"."""

    number: int
    data: bytes = field(repr=False)
    ends: tuple[End, ...]
    again: str = ""


def conversion_id(key: EventKey, suffix: str = "") -> str:
    """Return an event's conversion id, from which `event_key` reads it back."""
    return f"soak-{key[0]}-{key[1]}{suffix}"


def event_key(found: str) -> EventKey:
    """Return the event that a conversion id stands for; (-1, -1) for one that is not the soak's."""
    parts = found.split("-")
    if len(parts) < 3 or parts[0] != "soak" or not (parts[1].isdigit() and parts[2].isdigit()):
        return -1, -1
    return int(parts[1]), int(parts[2])


class Publication(Protocol):
    """Messages by their number."""

    @property
    def sizes(self) -> Sequence[int]:
        """The events of each message, by its number."""

    def message(self, number: int) -> Message:
        """Return one message; the same each time."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog: packs of 500 good events of about 2 kB each, cheap to make, since they are pushed many times."""

    events: int

    @property
    def sizes(self) -> Sequence[int]:
        """The events of each message, by its number."""
        return [_LARGEST_PACK] * (self.events // _LARGEST_PACK)

    def message(self, number: int) -> Message:
        """Return one message; the same each time."""
        events = (
            b'{"event":"purchase","conversion_id":"%s","email":"u%d.%d@%s","items":%s}'
            % (conversion_id((number, index)).encode(), number, index, MARK.encode(), _ITEMS)
            for index in range(_LARGEST_PACK)
        )
        return Message(number=number, data=b"[" + b",".join(events) + b"]", ends=_ALL_DELIVERED)


@dataclass(frozen=True)
class Plan:
    """`events` events in messages of one to 500, mixed by `seed`."""

    seed: int
    events: int

    @cached_property
    def sizes(self) -> Sequence[int]:
        """The events of each message, by its number."""
        chance = random.Random(f"sizes {self.seed}")
        sizes: list[int] = []
        left = self.events
        # No message is a large part of the whole, or the incidents would have nothing between them.
        largest = min(_LARGEST_PACK, max(_SMALLEST_PACK, self.events // 20))
        while left:
            size = min(left, _size(chance, largest))
            sizes.append(size)
            left -= size
        return sizes

    def ends(self, number: int) -> tuple[End, ...]:
        """Return where each event of a message has to end."""
        return self.message(number).ends

    def message(self, number: int) -> Message:
        """Return one message; the same each time."""
        chance = random.Random(f"{self.seed} {number}")
        size = self.sizes[number]
        draw = chance.random()
        again = "beside" if draw < _DELIVERED_AGAIN else "after" if draw < 2 * _DELIVERED_AGAIN else ""
        if size == 1 and chance.random() < _UNREADABLE:
            data = b'{"email": "u%d@%s", not JSON' % (number, MARK.encode())
            return Message(number=number, data=data, ends=(End.INVALID_MESSAGE,), again=again)
        events = [self._mixed(chance, (number, index)) for index in range(size)]
        payload = [event for _, event in events]
        data = json.dumps(payload[0] if size == 1 else payload).encode()
        return Message(number=number, data=data, ends=tuple(end for end, _ in events), again=again)

    def _mixed(self, chance: random.Random, key: EventKey) -> tuple[End, dict[str, object]]:
        event = self._event(chance, key)
        draw = chance.random()
        if draw < _NO_CONSENT:
            return End.SKIPPED, {**event, "consent": False}
        if draw < _NO_CONSENT + _INVALID:
            return End.INVALID_EVENT, {name: value for name, value in event.items() if name != "email"}
        if draw < _NO_CONSENT + _INVALID + _REFUSED:
            suffix = REFUSED_UNNAMED if chance.random() < _UNNAMED else REFUSED_NAMED
            return End.REJECTED, {**event, "conversion_id": conversion_id(key, suffix)}
        return End.DELIVERED, event

    def _event(self, chance: random.Random, key: EventKey) -> dict[str, object]:
        event: dict[str, object] = {
            "event": "purchase" if chance.random() < 0.7 else "sign_up",
            "conversion_id": conversion_id(key),
            "email": f"u{key[0]}.{key[1]}@{MARK}",
            "value": chance.randrange(100, 100_000) / 100,
            "currency": "EUR",
        }
        if chance.random() < _SECOND_PIXEL:
            event["pixel_id"] = _SECOND
        return event


def _size(chance: random.Random, largest: int) -> int:
    if chance.random() < _SINGLES:
        return 1
    growth: float = (largest / _SMALLEST_PACK) ** chance.random()
    return round(_SMALLEST_PACK * growth)
