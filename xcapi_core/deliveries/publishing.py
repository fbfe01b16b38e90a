"""Getting dead letters out: published in time, remembered, and never twice."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from xcapi_core import logs
from xcapi_core.deliveries.dead_letters import DeadLetter, Undeliverable, compose_letters, letter_batches
from xcapi_core.deliveries.delivery import Delivery
from xcapi_core.ledger import Ledger

__all__ = ["DeadLetterPublisher", "Mailer"]

# The letter of a message that holds no readable events stands for all of it.
_WHOLE_MESSAGE = -1


class DeadLetterPublisher(Protocol):
    """Publishes letters that fit one request, all of them or none."""

    async def publish(self, letters: Sequence[DeadLetter], timeout_s: float) -> str | None:
        """Return None when they are safe, else the cause in a word."""
        ...


class Mailer:
    """Publishes the dead letters of deliveries."""

    def __init__(
        self,
        *,
        publisher: DeadLetterPublisher,
        ledger: Ledger,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publisher = publisher
        self._ledger = ledger
        self._clock = clock
        self._wall_clock = wall_clock
        self._tasks: set[asyncio.Task[bool]] = set()
        self._given_up = asyncio.Event()
        self._has_published = False

    def has_mailed_any(self, key: bytes | None) -> bool:
        """Tell whether an earlier delivery of this message published any letter: for most, one look instead of many."""
        if key is None or not self._has_published:
            return False
        return self._ledger.has(self._ledger.digest("letters", key), self._clock())

    def has_mailed(self, key: bytes | None, event_index: int | None) -> bool:
        """Tell whether an earlier delivery of this message published this event's letter."""
        return key is not None and self._ledger.has(self._digest(key, event_index), self._clock())

    def give_up(self) -> None:
        """Wait for no publish request any more; what they end in still enters the ledger."""
        self._given_up.set()

    async def mail(self, delivery: Delivery, key: bytes | None, events: Sequence[Undeliverable]) -> None:
        """Publish the letters of these events within the delivery's time, and tell the delivery how it went."""
        if not events:
            return
        letters = compose_letters(delivery.message, events, failed_at=self._wall_clock())
        for batch in letter_batches(letters):
            timeout_s = max(0.0, delivery.deadline - self._clock())
            task = asyncio.create_task(self._publish(batch, key, timeout_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            gave_up = asyncio.create_task(self._given_up.wait())
            await asyncio.wait({task, gave_up}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            gave_up.cancel()
            if not (task.done() and task.result()):
                delivery.not_mailed()
                return
            delivery.mailed(index for letter in batch for index in letter.event_indices)

    async def _publish(self, letters: Sequence[DeadLetter], key: bytes | None, timeout_s: float) -> bool:
        cause = await self._publisher.publish(letters, timeout_s)
        if cause is not None:
            logs.emit("ERROR", "dead_letters.unavailable", letters=len(letters), cause=cause)
            return False
        logs.emit("INFO", "dead_letters.published", letters=len(letters))
        if key is not None:
            now = self._clock()
            self._has_published = True
            indices = [index for letter in letters for index in letter.event_indices or (_WHOLE_MESSAGE,)]
            self._ledger.add((self._digest(key, index) for index in indices), now)
            self._ledger.add((self._ledger.digest("letters", key),), now)
        return True

    def _digest(self, key: bytes, event_index: int | None) -> int:
        return self._ledger.digest("letter", key, _WHOLE_MESSAGE if event_index is None else event_index)
