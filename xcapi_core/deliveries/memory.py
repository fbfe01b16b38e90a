"""What this instance knows of messages that may come again: which of their events are settled."""

from collections import OrderedDict
from collections.abc import Container, Iterable

import msgspec

from xcapi_core.deliveries.indices import IndexSet
from xcapi_core.ledger import Ledger

__all__ = ["DeliveryMemory"]

# Pub/Sub's duplicates come within seconds, a redelivery within the longest back-off of ten minutes.
REMEMBERED_S = 3600.0
# Some 100,000 messages. Beyond that the oldest goes.
MAX_BYTES = 32 << 20
_ENTRY_BYTES = 300
# Of events, not of messages: as many dead letters as a day has seconds.
_DEAD_LETTERS = 1 << 17


class _Progress(msgspec.Struct):
    """`settled` are those that need nothing more; `unconfirmed` those that X may have, and whose dead letter is due.

    `unfinished` is how many deliveries in a row a bisection took up without settling anything.
    """

    noted_at: float
    settled: IndexSet
    unconfirmed: IndexSet
    unfinished: int = 0

    @property
    def size_bytes(self) -> int:
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
        self._messages: OrderedDict[bytes, _Progress] = OrderedDict()
        self._dead_letters = Ledger(retention_s=REMEMBERED_S, capacity=_DEAD_LETTERS)
        self.held_bytes = 0

    def settled_of(self, key: bytes | None, now: float) -> Container[int]:
        """Return the indices of the events of a message that are settled."""
        progress = self._of(key, now)
        return progress.settled if progress else ()

    def unconfirmed_of(self, key: bytes | None, now: float) -> Container[int]:
        """Return the indices of the events that X may have from an earlier delivery, but did not confirm."""
        progress = self._of(key, now)
        return progress.unconfirmed if progress else ()

    def unfinished_of(self, key: bytes | None, now: float) -> int:
        """Return how many deliveries of a message in a row ended in a bisection that had settled nothing."""
        progress = self._of(key, now)
        return progress.unfinished if progress else 0

    def note(
        self,
        key: bytes | None,
        settled: Iterable[int],
        now: float,
        *,
        unconfirmed: Iterable[int] = (),
        unfinished: int = 0,
    ) -> None:
        """Remember progress of a message, beside what is known of it; without any, it is not remembered at all."""
        progress = self._of(key, now) or _Progress(now, IndexSet(), IndexSet())
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

    def knows(self, key: bytes | None) -> bool:
        """Tell whether anything is known of a message."""
        return key in self._messages

    def note_dead_letters(self, message_id: str, events: Iterable[tuple[int, bytes]], now: float) -> None:
        """Remember that these events (their index and bytes) of the message that had this id first have theirs."""
        digest = self._dead_letters.digest
        self._dead_letters.add((digest(message_id, index, event_bytes) for index, event_bytes in events), now)
        self._dead_letters.add((digest(message_id),), now)

    def has_any_dead_letter(self, message_id: str, now: float) -> bool:
        """Tell whether any event of a message has one: for most, one look instead of many."""
        return self._dead_letters.has(self._dead_letters.digest(message_id), now)

    def has_dead_letter(self, message_id: str, index: int, event_bytes: bytes, now: float) -> bool:
        """Tell whether an event has its dead letter."""
        return self._dead_letters.has(self._dead_letters.digest(message_id, index, event_bytes), now)

    def _of(self, key: bytes | None, now: float) -> _Progress | None:
        progress = self._messages.get(key) if key is not None else None
        return None if progress is None or self._is_old(progress, now) else progress

    def _forget(self, key: bytes | None) -> None:
        progress = self._messages.pop(key, None) if key is not None else None
        if progress:
            self.held_bytes -= progress.size_bytes

    @staticmethod
    def _is_old(progress: _Progress, now: float) -> bool:
        return now - progress.noted_at > REMEMBERED_S
