"""The sequence: read a message, send its events, publish its dead letters and its remainder, answer the delivery."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeVar

from xcapi_core.deliveries.admission import MOST_OPEN, Admission, events_cost
from xcapi_core.deliveries.deadlines import Deadlines
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.deliveries.intake import EVENTS_A_TURN, Intake
from xcapi_core.deliveries.memory import DeliveryMemory
from xcapi_core.deliveries.outbox import Outbox
from xcapi_core.deliveries.publications import Publications
from xcapi_core.deliveries.summaries import Summaries
from xcapi_core.events.reading import EventReadings, read_events
from xcapi_core.ledger import Ledger
from xcapi_core.origins import original_event_indices
from xcapi_core.pubsub import PubsubMessage, delivery_key
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher

__all__ = ["DeliveryHandler"]

_Result = TypeVar("_Result")

# Of a delivery's time, this much at most is kept back for publishing; reading ends in the middle of it.
PUBLISHING_RESERVE_S = 5.0
# Messages beyond this size take turns: a server that accepts one connection a turn would otherwise keep a burst of new
# ones waiting for seconds while it reads from dozens of large ones.
LARGE_MESSAGE_BYTES = 32_768
# Those beyond this are split and read in a thread, since a single step of it may take seconds.
HUGE_MESSAGE_BYTES = 1_000_000
# A delivery is read on only while no more of its conversions are open than so many times what may be on the wire to its
# pixels, nor than so many in all: a message of 35,000 events would otherwise take 70 MB besides its own bytes.
OPEN_REQUESTS_AHEAD = 2
# After SIGTERM, what is not read by then comes back.
READ_ON_S = 4.0


class DeliveryHandler:
    """Settles deliveries. One instance a process; all of its state may be lost at any time without losing an event."""

    def __init__(
        self,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        ledger: Ledger,
        dead_letters: Outbox,
        remainder: Outbox | None,
        admission: Admission,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._batchers = batchers
        self._ledger = ledger
        self._admission = admission
        self._clock = clock
        self._wall_clock = wall_clock
        self.memory = DeliveryMemory()
        self._publications = Publications(
            dead_letters=dead_letters, remainder=remainder, memory=self.memory, clock=clock, wall_clock=wall_clock
        )
        self._deadlines = Deadlines(clock)
        self._summaries = Summaries(settings, wall_clock)
        self._under_way: dict[bytes, asyncio.Future[Answer | None]] = {}
        self._large_turn = asyncio.Lock()
        self._huge_turn = asyncio.Lock()
        self._stopping = False
        self._read_until = math.inf

    async def handle(self, message: PubsubMessage, *, held: int = 0) -> Answer:
        """Settle one delivery, within `settle_timeout_s`; a duplicate of one still under way shares its answer.

        `held` is what the caller has had admitted for it.
        """
        key = delivery_key(message)
        if key is None:
            return await self._settle(message, None, held)
        while (first := self._under_way.get(key)) is not None:
            # Shielded: when this caller goes away, others still wait for the answer.
            answer = await asyncio.shield(first)
            if answer is not None:
                return answer
        return await self._settle_for_all(message, key, held)

    def stop(self, by: float = math.inf) -> None:
        """Start nothing more: what is in flight goes on, what waits is nacked or handed over by this time."""
        self._stopping = True
        self._read_until = self._clock() + READ_ON_S
        self._publications.stop(by)
        for batcher in self._batchers.values():
            batcher.stop()

    def end_waiting(self) -> None:
        """Wait for X no longer; what it answers now still enters the ledger."""
        self._deadlines.end_all()

    def give_up(self) -> None:
        """Wait for Pub/Sub no longer."""
        self._publications.give_up()

    async def _settle_for_all(self, message: PubsubMessage, key: bytes, held: int) -> Answer:
        """Settle a delivery in its own request's task, and let duplicates share the answer."""
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._under_way[key] = answered
        answer = None
        try:
            answer = await self._settle(message, key, held)
        finally:
            # Where this request was given up, or failed, a duplicate that waits takes over.
            del self._under_way[key]
            answered.set_result(answer)
        return answer

    async def _settle(self, message: PubsubMessage, key: bytes | None, held: int) -> Answer:
        delivery = Delivery(
            message=message,
            key=key,
            deadline=self._clock() + self._settings.settle_timeout_s,
            naming=self._settings.log_conversion_ids,
            unfinished=self.memory.unfinished_of(key, self._clock()),
        )
        readings = await self._split(delivery)
        cost = events_cost(len(readings), MOST_OPEN)
        if not self._admission.admit(cost, held=held):
            readings.close()
            return Answer(429, "memory_full")
        self._deadlines.watch(delivery)
        try:
            await self._read(delivery, readings)
            await self._end_all(delivery)
            await self._publications.hand_over(delivery)
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

    async def _split(self, delivery: Delivery) -> EventReadings:
        """Tell the events of a message apart; large messages take turns."""
        message = delivery.message
        split = partial(
            read_events,
            message,
            self._settings,
            received_at=self._wall_clock(),
            settled=self.memory.settled_of(delivery.key, self._clock()),
        )
        if len(message.data) <= LARGE_MESSAGE_BYTES:
            readings = split()
        else:
            async with self._turn_of(message):
                readings = await _in_thread_if_huge(message, split)
        indices = original_event_indices(message)
        if indices is not None and len(indices) == len(readings):
            delivery.first_indices = indices
        return readings

    async def _read(self, delivery: Delivery, readings: EventReadings) -> None:
        spare_s = self._settings.settle_timeout_s - self._settings.request_timeout_s
        reserve_s = min(PUBLISHING_RESERVE_S, spare_s / 4)
        publishing_due = delivery.deadline - reserve_s
        intake = Intake(
            delivery,
            settings=self._settings,
            batchers=self._batchers,
            ledger=self._ledger,
            memory=self.memory,
            readings=readings,
            latest_start=publishing_due - self._settings.request_timeout_s,
            is_stopping=lambda: self._stopping,
            clock=self._clock,
        )
        batch = self._settings.batch
        ahead_a_pixel = OPEN_REQUESTS_AHEAD * batch.max_conversions * batch.max_in_flight
        while await self._read_some(intake, delivery):
            await self._publications.publish_many_refused(delivery)
            most_open = min(ahead_a_pixel * intake.batchers_used, MOST_OPEN)
            if delivery.waiting > most_open:
                intake.wake_batchers()
                await delivery.sent(but=most_open)
            if self._clock() > min(delivery.deadline - reserve_s / 2, self._read_until):
                # Others were read at the same time. What is done so far is kept for the redelivery.
                delivery.come_back("shutting_down" if self._stopping else "no_time_left")
                break
        intake.end()

    async def _read_some(self, intake: Intake, delivery: Delivery) -> bool:
        """Read a portion; of large messages one portion of one message in each turn of the event loop."""
        if len(delivery.message.data) <= LARGE_MESSAGE_BYTES:
            events = intake.read_some()
            intake.take(events)
            more = len(events) == EVENTS_A_TURN
            if more:
                await asyncio.sleep(0)
            return more
        async with self._turn_of(delivery.message):
            events = await _in_thread_if_huge(delivery.message, intake.read_some)
            intake.take(events)
            await asyncio.sleep(0)
        return len(events) == EVENTS_A_TURN

    def _turn_of(self, message: PubsubMessage) -> asyncio.Lock:
        return self._huge_turn if len(message.data) > HUGE_MESSAGE_BYTES else self._large_turn

    async def _end_all(self, delivery: Delivery) -> None:
        """Wait until every event is at its end; what reading refused is published while the others are sent."""
        first = delivery.refused.take()
        publishing = asyncio.create_task(self._publications.publish_refused(delivery, first)) if first else None
        try:
            await delivery.sent()
            await self._publications.publish_refused(delivery, delivery.refused.take())
        finally:
            if publishing is not None:
                await publishing


async def _in_thread_if_huge(message: PubsubMessage, read: Callable[[], _Result]) -> _Result:
    return await asyncio.to_thread(read) if len(message.data) > HUGE_MESSAGE_BYTES else read()
