"""Looking through dead letters: those that the filters mean, one after the other, none of them taken out."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.filters import Filters

__all__ = ["Finishable", "Looking"]


class Finishable(Protocol):
    """What can be told that enough was found."""

    def finish(self) -> None:
        """Look for no more."""


@dataclass(slots=True)
class Looking:
    """Hands each chosen dead letter to `take`, one at a time, `filters.limit` at most. Safe for several threads."""

    filters: Filters
    take: Callable[[DeadLetter], None]
    seen: int = 0
    chosen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, dead_letters: Sequence[DeadLetter], source: Finishable) -> bool:
        """Look at some more; all of it is news to whoever looks."""
        now = datetime.now(UTC)
        with self._lock:
            for dead_letter in dead_letters:
                if self.chosen == self.filters.limit:
                    break
                self.seen += 1
                if self.filters.match(dead_letter, now):
                    self.chosen += 1
                    self.take(dead_letter)
            if self.chosen == self.filters.limit:
                source.finish()
        return True
