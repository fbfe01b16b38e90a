"""The sequence: read a message, send its events, publish its dead letters, and say what becomes of the delivery."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from xcapi_core.batching import Lane
from xcapi_core.conversions import Conversion
from xcapi_core.deadlines import Deadlines
from xcapi_core.delivery import Answer, Delivery
from xcapi_core.dry_run import log_discarded
from xcapi_core.ledger import Ledger
from xcapi_core.mailing import Mailer
from xcapi_core.messages import PubsubMessage, delivery_key
from xcapi_core.outcomes import AlreadyDelivered, Deferred, Skipped, SkipReason
from xcapi_core.reading import ReadEvent, read_events
from xcapi_core.settings import Settings
from xcapi_core.summaries import Summaries

__all__ = ["Forwarder"]

# Of a delivery's time, this much at most is kept back for publishing what X refused.
LETTERS_RESERVE_S = 5.0
# The event loop serves others after so many events: 20,000 of one message take a second of computing. As many as
# one request carries, so that a message of that size leaves in one.
EVENTS_A_TURN = 500
# A delivery is read on only while no more of its conversions are open than so many times what may be on the wire: a
# message of 35,000 events would otherwise take 70 MB besides its own bytes.
OPEN_REQUESTS_AHEAD = 2


class Forwarder:
    """Settles deliveries. One instance a process; all of its state may be lost at any time without losing an event."""

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: Mapping[str, Lane],
        ledger: Ledger,
        mailer: Mailer,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._ledger = ledger
        self._mailer = mailer
        self._clock = clock
        self._wall_clock = wall_clock
        self._deadlines = Deadlines(clock)
        self._summaries = Summaries(dry_run=settings.dry_run)
        self._under_way: dict[bytes, asyncio.Future[Answer | None]] = {}
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
        for lane in self._lanes.values():
            lane.stop()

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
        latest_start = letters_due - self._settings.request_timeout_s
        events = read_events(
            delivery.message,
            self._settings,
            received_at=self._wall_clock(),
            settled=self._ledger.settled_of(key) if key else frozenset(),
        )
        unconfirmed = self._ledger.unconfirmed_of(key) if key else frozenset()
        may_be_mailed = False
        discarded: list[Conversion] = []
        batch = self._settings.batch
        most_open = OPEN_REQUESTS_AHEAD * batch.max_conversions * batch.max_in_flight
        lanes: set[Lane] = set()
        for number, event in enumerate(events):
            if number % EVENTS_A_TURN == 0:
                if number:
                    await asyncio.sleep(0)
                    if delivery.waiting > most_open:
                        _wake_all(lanes)
                        await delivery.sent(but=most_open)
                    if self._clock() > letters_due:
                        # Others were read at the same time. What is done so far is kept for the redelivery.
                        delivery.defer_rest("no_time_left")
                        break
                may_be_mailed = self._mailer.has_mailed_any(key)
            if isinstance(event, int):
                delivery.settle(event, AlreadyDelivered())
            elif may_be_mailed and self._mailer.has_mailed(key, event.event_index):
                delivery.settle(event.event_index, AlreadyDelivered())
            elif not isinstance(event.result, Conversion):
                delivery.settle_read(event)
            elif event.event_index in unconfirmed:
                delivery.settle_unconfirmed(event, event.result)
            elif self._settings.dry_run:
                discarded.append(event.result)
                delivery.note_dropped(event.result.dropped)
                delivery.settle(event.event_index, Skipped(SkipReason.DRY_RUN))
            else:
                self._submit(delivery, event, event.result, latest_start, lanes)
        _wake_all(lanes)
        if discarded:
            log_discarded(discarded)

    def _submit(
        self, delivery: Delivery, event: ReadEvent, conversion: Conversion, latest_start: float, lanes: set[Lane]
    ) -> None:
        key = self._ledger.digest(*conversion.identity)
        delivery.note_dropped(conversion.dropped)
        if self._ledger.has(key, self._clock()):
            delivery.settle(event.event_index, AlreadyDelivered())
        elif self._stopping:
            delivery.settle(event.event_index, Deferred(nack_status=503, cause="shutting_down"))
        else:
            lane = self._lanes[conversion.pixel_id]
            lanes.add(lane)
            outcome = lane.submit(conversion, key, latest_start=latest_start, more_to_come=True)
            delivery.await_outcome(event, conversion, outcome)


def _wake_all(lanes: set[Lane]) -> None:
    for lane in lanes:
        lane.wake()
    lanes.clear()
