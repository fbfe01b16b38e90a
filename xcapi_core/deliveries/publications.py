"""Publishes what a delivery leaves behind, its dead letters and its remainder, and remembers what is published."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from xcapi_core.deliveries.dead_letters import MAX_DEAD_LETTERS_A_REASON, compose_dead_letters
from xcapi_core.deliveries.delivery import Delivery
from xcapi_core.deliveries.memory import DeliveryMemory
from xcapi_core.deliveries.outbox import Outbox
from xcapi_core.deliveries.outgoing import OutgoingMessage, request_batches
from xcapi_core.deliveries.refused import RefusedEvent
from xcapi_core.deliveries.remainder import DeferredEvent, compose_remainder
from xcapi_core.origins import first_message_id

__all__ = ["Publications"]

# So many refused events are published while reading goes on.
MOST_REFUSED = 10_000


class Publications:
    """Publishes to the function's topics. What is published counts as settled here, even if its delivery has ended."""

    def __init__(
        self,
        *,
        dead_letters: Outbox,
        remainder: Outbox | None,
        memory: DeliveryMemory,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._dead_letters = dead_letters
        self._remainder = remainder
        self._memory = memory
        self._clock = clock
        self._wall_clock = wall_clock
        # By first message, the end of a turn: of it and its remainders, one at a time publishes dead letters.
        self._turns: WeakValueDictionary[str, asyncio.Future[bool]] = WeakValueDictionary()

    def stop(self, by: float) -> None:
        """Let no publish request last beyond this time."""
        for outbox in (self._dead_letters, self._remainder):
            if outbox:
                outbox.stop(by)

    def give_up(self) -> None:
        """Wait for Pub/Sub no longer."""
        for outbox in (self._dead_letters, self._remainder):
            if outbox:
                outbox.give_up()

    async def publish_many_refused(self, delivery: Delivery) -> None:
        """Publish what reading refused so far, where it is so much that it shares dead letters anyway."""
        if len(delivery.refused) < MOST_REFUSED:
            return
        many: list[RefusedEvent] = []
        for event in delivery.take_refused():
            shares = delivery.in_all(event.reason) > MAX_DEAD_LETTERS_A_REASON
            (many if shares else delivery.refused).append(event)
        if many:
            await self.publish_refused(delivery, many)

    async def publish_refused(self, delivery: Delivery, events: Sequence[RefusedEvent]) -> None:
        """Publish these events' dead letters within the delivery's time, and tell the delivery how it went.

        An event that a message and its remainder, or two remainders, bring at the same time gets one. So the turn lasts
        until it is known how the publishing ended, however long after the delivery's time that is.
        """
        message_id = first_message_id(delivery.message)
        while (others := self._turns.get(message_id)) and not others.done():
            await self._dead_letters.wait_for(others, delivery.deadline)
            if not others.done():
                delivery.come_back("dead_letters_unavailable")
                return
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if message_id:
            self._turns[message_id] = turn
        publishing = None
        try:
            publishing = await self._publish_dead_letters(delivery, self._still_due(delivery, message_id, events))
        finally:
            if publishing:
                publishing.add_done_callback(lambda _: turn.set_result(True))
            else:
                turn.set_result(True)

    def _still_due(self, delivery: Delivery, message_id: str, events: Sequence[RefusedEvent]) -> Sequence[RefusedEvent]:
        """Return the events that no other delivery has published meanwhile, and settle the others."""
        now = self._clock()
        if not self._memory.has_any_dead_letter(message_id, now):
            return events
        due: list[RefusedEvent] = []
        for event in events:
            index = event.event_index or 0
            if self._memory.has_dead_letter(message_id, delivery.first_index(index), event.event_bytes, now):
                delivery.dead_lettered([index])
            else:
                due.append(event)
        return due

    async def _publish_dead_letters(
        self, delivery: Delivery, events: Sequence[RefusedEvent]
    ) -> "asyncio.Future[bool] | None":
        """Publish these, as far as there is time; return the latest request, whose end may not be known yet."""
        is_safe = None
        messages = compose_dead_letters(delivery.message, events, failed_at=self._wall_clock(), in_all=delivery.in_all)
        note = partial(self._note_dead_letters, delivery, {event.event_index or 0: event for event in events})
        for batch in request_batches(messages):
            is_safe = await self._dead_letters.publish(batch, delivery.deadline, note)
            if not _is_known_safe(is_safe):
                delivery.come_back("dead_letters_unavailable")
                break
            delivery.dead_lettered(_indices_of(batch))
        return is_safe

    @property
    def may_hand_over(self) -> bool:
        """Whether there is a topic for what must wait."""
        return self._remainder is not None

    async def hand_over(self, delivery: Delivery, deferred: Sequence[DeferredEvent]) -> None:
        """Publish what must wait, where other events of the message are settled: then the message is done."""
        if self._remainder is None:
            return
        messages = compose_remainder(delivery.message, deferred, manageable=delivery.manageable)
        if messages is None:
            return
        for batch in request_batches(messages):
            is_safe = await self._remainder.publish(batch, delivery.deadline, partial(self._note_handed_over, delivery))
            if not _is_known_safe(is_safe):
                delivery.come_back("remainder_unavailable")
                return
        delivery.hand_over()

    def _note_dead_letters(
        self, delivery: Delivery, events: Mapping[int, RefusedEvent], batch: Sequence[OutgoingMessage]
    ) -> None:
        now = self._clock()
        indices = _indices_of(batch)
        self._memory.note(delivery.key, indices, now)
        message_id = first_message_id(delivery.message)
        if message_id and len(indices) <= MAX_DEAD_LETTERS_A_REASON:
            # Those that share dead letters by the thousand were refused on reading, and so are in no remainder.
            settled = ((delivery.first_index(index), events[index].event_bytes) for index in indices)
            self._memory.note_dead_letters(message_id, settled, now)

    def _note_handed_over(self, delivery: Delivery, batch: Sequence[OutgoingMessage]) -> None:
        self._memory.note(delivery.key, _indices_of(batch), self._clock())


def _is_known_safe(publishing: "asyncio.Future[bool]") -> bool:
    return publishing.done() and publishing.result()


def _indices_of(batch: Sequence[OutgoingMessage]) -> list[int]:
    """Return the indices of the events that these settle; a message without readable events counts as its first."""
    return [index for message in batch for index in message.event_indices or (0,)]
