"""Conversions left over from a search that cost too much: their next batches are small."""

from collections import OrderedDict

__all__ = ["Suspects"]

# 64-bit keys of some 20 full batches; a key that falls out is merely sent in a full batch again.
CAPACITY = 10_000


class Suspects:
    """A bounded set of ledger keys; the oldest fall out."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, key: int) -> bool:
        return key in self._keys

    def add(self, key: int) -> None:
        """Remember a key as suspect."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._capacity:
            self._keys.popitem(last=False)

    def discard(self, key: int) -> None:
        """Forget a key: X has judged its conversion."""
        self._keys.pop(key, None)
