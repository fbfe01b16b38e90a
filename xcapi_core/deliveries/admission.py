"""How much may be held in memory at once: deliveries beyond that go back to the queue instead of ending the process."""

__all__ = [
    "BYTES_A_BODY_BYTE",
    "DELIVERY_BYTES",
    "MAX_BODY_BYTES",
    "MAX_HELD_BYTES",
    "MOST_OPEN",
    "Admission",
    "events_cost",
]

# Pub/Sub's 10 MB in base64, and 100 attributes of 1,280 bytes each, come to 13.5 MB.
MAX_BODY_BYTES = 16 << 20
# Beside the 120 MB that the process needs by itself, and room for what is being decoded at the moment, one message at
# a time; a worker stays below 420 MB.
MAX_HELD_BYTES = 160 << 20
# What a delivery takes besides its body: request, task and futures; and a byte of it, with the data decoded from it.
DELIVERY_BYTES = 30_000
BYTES_A_BODY_BYTE = 2
# An event cut out of its message, and one that is read and waits for its request or its dead letter.
_EVENT_BYTES = 150
_OPEN_EVENT_BYTES = 3_000
# No delivery holds more than this many open: it reads on when others are done.
MOST_OPEN = 20_000


def events_cost(events: int, most_open: int) -> int:
    """Return what the events of a message take while at most `most_open` of them are."""
    return _EVENT_BYTES * events + _OPEN_EVENT_BYTES * min(events, most_open)


class Admission:
    """Counts the bytes of the deliveries under way."""

    def __init__(self, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0

    def admit(self, cost: int, *, held: int = 0) -> bool:
        """Count in what a delivery needs beside what it holds already, unless that does not fit; one alone does."""
        if self._held_bytes > held and self._held_bytes + cost > self._max_held_bytes:
            return False
        self._held_bytes += cost
        return True

    def has_room(self, cost: int) -> bool:
        """Tell whether a further delivery of this cost would fit at the moment."""
        return not self._held_bytes or self._held_bytes + cost <= self._max_held_bytes

    def release(self, cost: int) -> None:
        """Count a delivery, or part of one, out."""
        self._held_bytes -= cost
