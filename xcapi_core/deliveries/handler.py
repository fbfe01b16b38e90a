"""The sequence: read a message, send its events, publish its dead letters and its remainder, answer the delivery."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import datetime

from xcapi_core.deliveries.admission import MOST_OPEN, Admission, events_cost
from xcapi_core.deliveries.deadlines import Deadlines
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.deliveries.intake import Intake
from xcapi_core.deliveries.memory import DeliveryMemory
from xcapi_core.deliveries.outbox import Outbox
from xcapi_core.deliveries.publications import Publications
from xcapi_core.deliveries.summaries import Summaries
from xcapi_core.pubsub import PubsubMessage, delivery_key
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher

__all__ = ["DeliveryHandler"]


class DeliveryHandler:
    """Settles deliveries. One instance a process; all of its state may be lost at any time without losing an event."""

    def __init__(
        self,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        dead_letters: Outbox,
        remainder: Outbox | None,
        admission: Admission,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._batchers = batchers
        self._admission = admission
        self._clock = clock
        self.memory = DeliveryMemory()
        self._publications = Publications(
            dead_letters=dead_letters, remainder=remainder, memory=self.memory, clock=clock, wall_clock=wall_clock
        )
        self._intake = Intake(
            settings=settings,
            batchers=batchers,
            memory=self.memory,
            publications=self._publications,
            clock=clock,
            wall_clock=wall_clock,
        )
        self._deadlines = Deadlines(Delivery.end_waiting, clock)
        self._summaries = Summaries(settings, wall_clock)
        # By a delivery's key, those that wait for its answer: its duplicates.
        self._under_way: dict[int, list[asyncio.Future[Answer | None]]] = {}

    async def handle(self, message: PubsubMessage, *, held: int = 0) -> Answer:
        """Settle one delivery, within `settle_timeout_s`; a duplicate of one still under way shares its answer.

        `held` is what the caller has had admitted for it.
        """
        key = delivery_key(message)
        if key is None:
            return await self._settle(message, None, held)
        while (duplicates := self._under_way.get(key)) is not None:
            shared: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
            duplicates.append(shared)
            if (answer := await shared) is not None:
                return answer
        duplicates = self._under_way[key] = []
        answer = None
        try:
            answer = await self._settle(message, key, held)
        finally:
            # Where this request was given up, or failed, a duplicate that waits takes over.
            del self._under_way[key]
            for shared in duplicates:
                if not shared.done():
                    shared.set_result(answer)
        return answer

    def stop(self, by: float = math.inf) -> None:
        """Start nothing more: what is in flight goes on, what waits is nacked or handed over by this time."""
        self._intake.stop()
        self._publications.stop(by)
        for batcher in self._batchers.values():
            batcher.stop()

    def end_waiting(self) -> None:
        """Wait for X no longer; what it answers now still enters the ledger."""
        for delivery in self._deadlines.open:
            delivery.end_waiting()

    def give_up(self) -> None:
        """Wait for Pub/Sub no longer."""
        self._publications.give_up()

    async def _settle(self, message: PubsubMessage, key: int | None, held: int) -> Answer:
        now = self._clock()
        delivery = Delivery(
            message=message,
            key=key,
            deadline=now + self._settings.settle_timeout_s,
            naming=self._settings.log_conversion_ids,
            earlier=self.memory.of(key, now),
        )
        readings = await self._intake.split(delivery)
        cost = events_cost(len(readings), MOST_OPEN)
        if not self._admission.admit(cost, held=held):
            readings.close()
            return Answer(429, "memory_full")
        self._deadlines.watch(delivery, delivery.deadline)
        try:
            await self._intake.read(delivery, readings)
            if not delivery.refused:
                await delivery.sent()
            if delivery.refused:
                await self._end_all(delivery)
            if readings.left:
                await self._intake.leave_unread(delivery, readings)
            if deferred := delivery.remainder():
                await self._publications.hand_over(delivery, deferred)
        finally:
            readings.close()
            self._deadlines.forget(delivery)
            self._admission.release(cost)
        answer = delivery.answer()
        if not answer.is_ack or delivery.handed_over or self.memory.knows(key):
            # All that keeps its events from being sent twice, should the message come again.
            self.memory.note(
                key,
                delivery.settled,
                self._clock(),
                unconfirmed=delivery.unconfirmed,
                unfinished=delivery.unfinished,
            )
        self._summaries.write(delivery, answer)
        return answer

    async def _end_all(self, delivery: Delivery) -> None:
        """Publish what is refused so far while the others are sent, then what X refused of those."""
        publishing = asyncio.create_task(self._publications.publish_refused(delivery, delivery.take_refused()))
        try:
            await delivery.sent()
            if delivery.refused:
                await self._publications.publish_refused(delivery, delivery.take_refused())
        finally:
            await publishing
