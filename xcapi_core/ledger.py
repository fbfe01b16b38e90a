"""What is already done: conversions that X has, and the settled part of messages that must come back.

A delivery is acked or nacked as a whole. When one event of a message is deferred, the message comes back with all
of them, and only the ledger keeps the rest from being sent twice.
"""

import hashlib
import os
from collections import OrderedDict, deque
from collections.abc import Iterable
from mmap import mmap

import msgspec

__all__ = ["Ledger"]

# X deduplicates for 48 h; after that, the same conversion id is a new conversion.
RETENTION_S = 48 * 3600
# Half-settled messages that never come back (their subscription dead-lettered them) are dropped after Pub/Sub's
# default retention.
HALF_SETTLED_RETENTION_S = 7 * 24 * 3600
# A third of a million of them. Beyond that the oldest goes, and with it the certainty: a full memory ends the process,
# and with it all of them.
MAX_PINNED_BYTES = 64 << 20
_ENTRY_BYTES = 200

# The last million or so: 11 days of a shop with 100,000 conversions a day, four hours at X's full rate.
CAPACITY = 1 << 20
_GENERATIONS = 4


class Ledger:
    """Remembers deliveries by compact digests, in bounded memory.

    Kept are 64-bit keyed digests, never an id: a million of them fit in 25 MB, where a dict would need 150. The key
    is the process's own, so nobody can aim for a collision (chance: 1 in 10^13 for a new conversion beside a million
    old ones).
    """

    def __init__(self, *, retention_s: float = RETENTION_S, capacity: int = CAPACITY) -> None:
        self._key = os.urandom(16)
        self._retention_s = retention_s
        self._per_generation = max(1, capacity // _GENERATIONS)
        self._generations: deque[_Generation] = deque(maxlen=_GENERATIONS)
        self._half_settled: OrderedDict[bytes, _HalfSettled] = OrderedDict()
        self.pinned_bytes = 0

    def digest(self, *parts: str | bytes | int) -> int:
        """Return a key for what the parts name together; 64 bits, never 0."""
        # No two lists of parts print alike, and what cannot be encoded is escaped.
        printed = repr(parts).encode()
        return int.from_bytes(hashlib.blake2b(printed, digest_size=8, key=self._key).digest(), "big") or 1

    def add(self, keys: Iterable[int], now: float) -> None:
        """Remember that these are done. `now` is in seconds of the caller's monotonic clock."""
        for key in keys:
            if not self._generations or self._generations[0].count >= self._per_generation:
                # A full deque drops its oldest generation: the ledger keeps the last N that fit.
                self._generations.appendleft(_Generation(_slots_for(self._per_generation), now))
            self._generations[0].put(key, now)

    def has(self, key: int, now: float) -> bool:
        """Tell whether `key` was done at most 48 h before `now`."""
        oldest = now - self._retention_s
        for generation in self._generations:
            done = generation.get(key)
            if done is not None and done >= oldest:
                return True
        return False

    def pin(self, message_key: bytes, settled: Iterable[int], now: float, *, unconfirmed: Iterable[int] = ()) -> None:
        """Keep for certain, whatever else is evicted, that these events of a nacked message are settled.

        `unconfirmed` are those that X may have, and whose letters are still due.
        """
        self.unpin(message_key)
        entry = _HalfSettled(now, _mask(settled), _mask(unconfirmed))
        if not (entry.settled or entry.unconfirmed):
            return  # nothing is lost by forgetting it
        self._half_settled[message_key] = entry
        self.pinned_bytes += entry.size
        while self._half_settled:
            oldest = next(iter(self._half_settled))
            expired = self._half_settled[oldest].pinned_at + HALF_SETTLED_RETENTION_S <= now
            if not expired and self.pinned_bytes <= MAX_PINNED_BYTES:
                break
            self.unpin(oldest)

    def unpin(self, message_key: bytes) -> None:
        """Forget a message that is settled as a whole."""
        entry = self._half_settled.pop(message_key, None)
        if entry:
            self.pinned_bytes -= entry.size

    def settled_of(self, message_key: bytes) -> frozenset[int]:
        """Return the indices of the events that earlier deliveries of this message settled."""
        entry = self._half_settled.get(message_key)
        return _indices(entry.settled) if entry else frozenset()

    def unconfirmed_of(self, message_key: bytes) -> frozenset[int]:
        """Return the indices of the events that X may have from an earlier delivery, though nobody can tell."""
        entry = self._half_settled.get(message_key)
        return _indices(entry.unconfirmed) if entry else frozenset()


class _HalfSettled(msgspec.Struct, frozen=True, gc=False):
    """Bit i stands for event i: 20,000 events take 2.5 kB, where a set of them would take a megabyte."""

    pinned_at: float
    settled: int
    unconfirmed: int

    @property
    def size(self) -> int:
        return _ENTRY_BYTES + (self.settled.bit_length() + self.unconfirmed.bit_length()) // 8


def _mask(indices: Iterable[int]) -> int:
    bits = bytearray()
    for index in indices:
        if index >= 8 * len(bits):
            bits.extend(bytes(index // 8 + 1 - len(bits)))
        bits[index // 8] |= 1 << index % 8
    return int.from_bytes(bits, "little")


def _indices(mask: int) -> frozenset[int]:
    bits = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    return frozenset(8 * place + bit for place, byte in enumerate(bits) if byte for bit in range(8) if byte >> bit & 1)


def _slots_for(entries: int) -> int:
    return 1 << max(4, (2 * entries - 1).bit_length())


class _Generation:
    """An insert-only open-addressing table of (64-bit digest, second): 12 bytes a slot, at most half full."""

    __slots__ = ("_digests", "_mask", "_seconds", "_start", "count")

    def __init__(self, slots: int, start: float) -> None:
        # Pages that nobody has written to take no memory: a table of 6 MB costs as much as is in it.
        self._digests = memoryview(mmap(-1, 8 * slots)).cast("Q")
        self._seconds = memoryview(mmap(-1, 4 * slots)).cast("I")
        self._mask = slots - 1
        self._start = start
        self.count = 0

    def put(self, key: int, now: float) -> None:
        slot = self._slot(key)
        if not self._digests[slot]:
            self._digests[slot] = key
            self.count += 1
        self._seconds[slot] = max(0, int(now - self._start))

    def get(self, key: int) -> float | None:
        slot = self._slot(key)
        return self._start + self._seconds[slot] if self._digests[slot] else None

    def _slot(self, key: int) -> int:
        digests, mask = self._digests, self._mask
        slot = key & mask
        while digests[slot] and digests[slot] != key:
            slot = (slot + 1) & mask
        return slot
