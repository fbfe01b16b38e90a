"""The sequence: read a message, send its events, publish its dead letters, and say what becomes of the delivery."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from xcapi_core.deliveries.deadlines import Deadlines
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.deliveries.intake import Intake
from xcapi_core.deliveries.publishing import Mailer
from xcapi_core.deliveries.summaries import Summaries
from xcapi_core.ledger import Ledger
from xcapi_core.pubsub import PubsubMessage, delivery_key
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher

__all__ = ["DeliveryHandler"]

# Of a delivery's time, this much at most is kept back for publishing what X refused.
LETTERS_RESERVE_S = 5.0
# Messages beyond this size take turns: a server that accepts one connection a turn would otherwise keep a burst of new
# ones waiting for seconds while it reads from dozens of large ones.
LARGE_MESSAGE_BYTES = 32_768
# A delivery is read on only while no more of its conversions are open than so many times what may be on the wire to its
# pixels, nor than so many in all: a message of 35,000 events would otherwise take 70 MB besides its own bytes.
OPEN_REQUESTS_AHEAD = 2
MOST_OPEN = 20_000


class DeliveryHandler:
    """Settles deliveries. One instance a process; all of its state may be lost at any time without losing an event."""

    def __init__(
        self,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        ledger: Ledger,
        mailer: Mailer,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._batchers = batchers
        self._ledger = ledger
        self._mailer = mailer
        self._clock = clock
        self._wall_clock = wall_clock
        self._deadlines = Deadlines(clock)
        self._summaries = Summaries(dry_run=settings.dry_run)
        self._under_way: dict[bytes, asyncio.Future[Answer | None]] = {}
        self._turn = asyncio.Lock()
        self._stopping = False

    async def forward(self, message: PubsubMessage) -> Answer:
        """Settle one delivery, within `settle_timeout_s`; a duplicate of one still under way shares its answer."""
        key = delivery_key(message)
        if key is None:
            return await self._settle(message, None)
        while (first := self._under_way.get(key)) is not None:
            # Shielded: when this caller goes away, others still want the answer.
            answer = await asyncio.shield(first)
            if answer is not None:
                return answer
        return await self._settle_for_all(message, key)

    async def _settle_for_all(self, message: PubsubMessage, key: bytes) -> Answer:
        """Settle a delivery in its own request's task, and let duplicates share the answer."""
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._under_way[key] = answered
        answer = None
        try:
            answer = await self._settle(message, key)
        finally:
            # Where this request was given up, or failed, a duplicate that waits takes over.
            del self._under_way[key]
            answered.set_result(answer)
        return answer

    def stop(self) -> None:
        """Answer whoever waits, start nothing more; what is on its way to X or Pub/Sub goes on for a while."""
        self._stopping = True
        for batcher in self._batchers.values():
            batcher.stop()

    async def _settle(self, message: PubsubMessage, key: bytes | None) -> Answer:
        delivery = Delivery(message=message, deadline=self._clock() + self._settings.settle_timeout_s)
        self._deadlines.watch(delivery)
        try:
            await self._read(delivery, key)
            await self._end_all(delivery, key)
        finally:
            self._deadlines.forget(delivery)
        answer = delivery.answer()
        if key:
            # What this instance knows of a half-settled message is all that keeps its events from being sent twice.
            if answer.is_ack:
                self._ledger.unpin(key)
            else:
                self._ledger.pin(key, delivery.settled_indices, self._clock(), unconfirmed=delivery.unconfirmed_indices)
        self._summaries.write(delivery, answer)
        return answer

    async def _end_all(self, delivery: Delivery, key: bytes | None) -> None:
        """Wait until every event is at its end; what reading refused is published while the rest is sent."""
        first = delivery.take_undeliverable()
        mailing = asyncio.create_task(self._mailer.mail(delivery, key, first)) if first else None
        try:
            await delivery.sent()
            await self._mailer.mail(delivery, key, delivery.take_undeliverable())
        finally:
            if mailing is not None:
                await mailing

    async def _read(self, delivery: Delivery, key: bytes | None) -> None:
        spare_s = self._settings.settle_timeout_s - self._settings.request_timeout_s
        letters_due = delivery.deadline - min(LETTERS_RESERVE_S, spare_s / 4)
        intake = Intake(
            delivery,
            key,
            settings=self._settings,
            batchers=self._batchers,
            ledger=self._ledger,
            mailer=self._mailer,
            received_at=self._wall_clock(),
            latest_start=letters_due - self._settings.request_timeout_s,
            is_stopping=lambda: self._stopping,
            clock=self._clock,
        )
        batch = self._settings.batch
        ahead_a_lane = OPEN_REQUESTS_AHEAD * batch.max_conversions * batch.max_in_flight
        while await self._read_some(intake, delivery):
            most_open = min(ahead_a_lane * intake.batchers_used, MOST_OPEN)
            if delivery.waiting > most_open:
                intake.wake_batchers()
                await delivery.sent(but=most_open)
            if self._clock() > letters_due:
                # Others were read at the same time. What is done so far is kept for the redelivery.
                delivery.defer_rest("no_time_left")
                break
        intake.end()

    async def _read_some(self, intake: Intake, delivery: Delivery) -> bool:
        """Read a portion; of large messages one portion a turn of the event loop, whoever's it is."""
        if len(delivery.message.data) <= LARGE_MESSAGE_BYTES:
            more = intake.read_some()
            if more:
                await asyncio.sleep(0)
            return more
        async with self._turn:
            more = intake.read_some()
            await asyncio.sleep(0)
        return more
