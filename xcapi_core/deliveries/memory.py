"""What this instance knows of messages that may come again: which of their events are settled."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from xcapi_core.ledger import Ledger

__all__ = ["DeliveryMemory", "IndexSet", "Progress"]

# Pub/Sub's duplicates come within seconds, a redelivery within the longest back-off of ten minutes.
REMEMBERED_S = 3600.0
# Some 100,000 messages. Beyond that the oldest goes.
MAX_BYTES = 32 << 20
_ENTRY_BYTES = 300
# Of events, not of messages.
_DEAD_LETTERS = 1 << 17


class IndexSet:
    """A set of small numbers, a bit each: 350,000 of them take 44 kB, where a set would take 20 MB.

    Those that come in order, as most do, take nothing.
    """

    __slots__ = ("_bits", "_first")

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self._first = 0  # all below it are in the set, whatever their bits
        self._bits = bytearray()
        if indices:
            self.update(indices)

    def __contains__(self, index: object) -> bool:
        """Tell whether a number is in the set."""
        if not isinstance(index, int):
            return False
        place = index >> 3
        return index < self._first or (place < len(self._bits) and bool(self._bits[place] >> (index & 7) & 1))

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._first or self._bits)

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers in ascending order."""
        yield from range(self._first)
        for place in range(self._first >> 3, len(self._bits)):
            byte = self._bits[place]
            yield from (index for bit in range(8) if byte >> bit & 1 and (index := 8 * place + bit) >= self._first)

    def add(self, index: int) -> None:
        """Put one in."""
        if index == self._first:
            self._first += 1
            return
        place = index >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << (index & 7)

    def update(self, indices: Iterable[int]) -> None:
        """Put several in."""
        for index in indices:
            self.add(index)

    @property
    def size_bytes(self) -> int:
        """What the set takes."""
        return len(self._bits)


class Progress(msgspec.Struct):
    """What is known of a message: `settled` are the events that need nothing more.

    `unconfirmed` are those that X may have, and whose dead letter is due; `unfinished` is how many deliveries in a row
    a bisection took up without settling anything.
    """

    noted_at: float
    settled: IndexSet
    unconfirmed: IndexSet
    unfinished: int = 0

    @property
    def size_bytes(self) -> int:
        """What it takes, its place in the memory included."""
        return _ENTRY_BYTES + self.settled.size_bytes + self.unconfirmed.size_bytes


class DeliveryMemory:
    """Remembers for an hour, by a message's own Pub/Sub id and content, which of its events are settled.

    Settled are those that were delivered or skipped, whose dead letter is out, or that were handed over. So a duplicate
    of a message causes neither a request nor a dead letter nor a remainder.

    Dead letters are known by the event as well: its first message's id, its index there and its bytes, so that an event
    gets one, whether its first message or a remainder brings it. The bytes are part of it because whoever calls can
    make up an id.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._messages: OrderedDict[int, Progress] = OrderedDict()
        self._dead_letters = Ledger(retention_s=REMEMBERED_S, capacity=_DEAD_LETTERS)
        self.held_bytes = 0

    def of(self, key: int | None, now: float) -> Progress | None:
        """Return what is known of a message."""
        progress = self._messages.get(key) if key is not None else None
        return None if progress is None or self._is_old(progress, now) else progress

    def note(
        self,
        key: int | None,
        settled: Iterable[int],
        now: float,
        *,
        unconfirmed: Iterable[int] = (),
        unfinished: int = 0,
    ) -> None:
        """Remember progress of a message, beside what is known of it; without any, it is not remembered at all."""
        progress = self.of(key, now) or Progress(now, IndexSet(), IndexSet())
        self._forget(key)
        progress.settled.update(settled)
        progress.unconfirmed.update(unconfirmed)
        progress.unfinished = unfinished
        if key is None or not (progress.settled or progress.unconfirmed or unfinished):
            return
        progress.noted_at = now
        self._messages[key] = progress
        self.held_bytes += progress.size_bytes
        while self._messages:
            oldest, known = next(iter(self._messages.items()))
            if self.held_bytes <= self._max_bytes and not self._is_old(known, now):
                break
            self._forget(oldest)

    def knows(self, key: int | None) -> bool:
        """Tell whether anything is known of a message."""
        return key in self._messages

    def note_dead_letters(self, message_id: str, events: Iterable[tuple[int, bytes]], now: float) -> None:
        """Remember that these events (their index and bytes) of the message that had this id first have theirs."""
        for index, event_bytes in events:
            self._dead_letters.add(self._dead_letters.digest(message_id, index, event_bytes), now)
        # Only says where to look further, so that somebody else's id with the same hash would do no harm.
        self._dead_letters.add(hash(message_id), now)

    def has_any_dead_letter(self, message_id: str, now: float) -> bool:
        """Tell whether any event of a message may have one: for most, one look instead of many."""
        return self._dead_letters.has(hash(message_id), now)

    def has_dead_letter(self, message_id: str, index: int, event_bytes: bytes, now: float) -> bool:
        """Tell whether an event has its dead letter."""
        return self._dead_letters.has(self._dead_letters.digest(message_id, index, event_bytes), now)

    def _forget(self, key: int | None) -> None:
        progress = self._messages.pop(key, None) if key is not None else None
        if progress:
            self.held_bytes -= progress.size_bytes

    @staticmethod
    def _is_old(progress: Progress, now: float) -> bool:
        return now - progress.noted_at > REMEMBERED_S
