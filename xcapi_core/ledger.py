"""What X has: the conversions that were delivered, so that a duplicate of one is not sent."""

import os

__all__ = ["CAPACITY", "RETENTION_S", "Ledger"]

# X deduplicates for 48 h; after that, the same conversion id is a new conversion.
RETENTION_S = 48 * 3600
# 20 MB when full; an hour at X's full rate, days of a usual shop.
CAPACITY = 1 << 18


class Ledger:
    """Remembers what was done by compact digests, in bounded memory.

    Kept are digests of 64 bits, never an id: Python's hashes (SipHash), whose key is the process's own, so nobody can
    aim for a collision (1 in 7 × 10^13 for a new conversion beside a quarter of a million old ones). They stand in
    two generations: a full one becomes the older, and the older falls out, which costs nothing an entry.
    """

    def __init__(self, *, retention_s: float = RETENTION_S, capacity: int = CAPACITY) -> None:
        self._salt = os.urandom(16)
        self._retention_s = retention_s
        self._per_generation = max(1, capacity // 2)
        self._younger: dict[int, float] = {}
        self._older: dict[int, float] = {}

    def digest(self, *parts: str | bytes | int) -> int:
        """Return a key for what the parts name together: 64 bits."""
        return hash((self._salt, *parts))

    def add(self, key: int, now: float) -> None:
        """Remember that this is done. `now` is in seconds of the caller's monotonic clock."""
        if len(self._younger) >= self._per_generation and key not in self._younger:
            self._younger, self._older = {}, self._younger
        self._younger[key] = now

    def has(self, key: int, now: float) -> bool:
        """Tell whether `key` was done at most `retention_s` before `now`."""
        done = self._younger.get(key)
        if done is None:
            done = self._older.get(key)
        return done is not None and now - done <= self._retention_s
