"""Reads messages into their deliveries, portion by portion: each event is settled at once, or handed to its batcher."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.admission import MOST_OPEN
from xcapi_core.deliveries.delivery import Delivery
from xcapi_core.deliveries.memory import DeliveryMemory
from xcapi_core.deliveries.publications import Publications
from xcapi_core.deliveries.refused import UNCONFIRMED_EARLIER
from xcapi_core.deliveries.summaries import MAX_SHOWN, log_discarded
from xcapi_core.events.reading import EventReadings, ReadEvent, read_events
from xcapi_core.origins import first_message_id, original_event_indices
from xcapi_core.outcomes import Deferred, Skipped, SkipReason
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher
from xcapi_core.x_api.queue import Waiting

__all__ = ["EVENTS_A_TURN", "Intake"]

_Result = TypeVar("_Result")
# By pixel, what is read and not yet handed to its batcher.
_Gathered = defaultdict[str, list[Waiting]]

# The event loop serves others after so many events: 20,000 of one message take a third of a second of computing. As
# many as one request carries, so that a message of that size leaves in one.
EVENTS_A_TURN = 500
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
# A message's conversions for a pixel go to its batcher by the batch, or those for 100 pixels would leave a few at a
# time. But a conversion waits no longer than this for the next ones to be read.
GATHER_S = 2.0
# After SIGTERM, what is not read by then is left unread.
READ_ON_S = 4.0


class Intake:
    """Reads messages; large ones take turns."""

    def __init__(
        self,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        memory: DeliveryMemory,
        publications: Publications,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._batchers = batchers
        self._memory = memory
        self._publications = publications
        self._clock = clock
        self._wall_clock = wall_clock
        spare_s = settings.settle_timeout_s - settings.request_timeout_s
        self._reserve_s = min(PUBLISHING_RESERVE_S, spare_s / 4)
        self._ahead_a_pixel = OPEN_REQUESTS_AHEAD * settings.batch.max_conversions * settings.batch.max_in_flight
        self._large_turn = asyncio.Lock()
        self._huge_turn = asyncio.Lock()
        self._stopping = False
        self._read_until = math.inf

    def stop(self) -> None:
        """Send nothing more, and read on for a short while."""
        self._stopping = True
        self._read_until = self._clock() + READ_ON_S

    async def split(self, delivery: Delivery) -> EventReadings:
        """Tell the events of a message apart."""
        message = delivery.message
        if len(message.data) <= LARGE_MESSAGE_BYTES:
            readings = self._split(delivery)
        else:
            async with self._turn_of(message):
                readings = await _in_thread_if_huge(message, partial(self._split, delivery))
        indices = original_event_indices(message)
        if indices is not None and len(indices) == len(readings):
            delivery.first_indices = indices
        return readings

    def _split(self, delivery: Delivery) -> EventReadings:
        settled = delivery.earlier.settled if delivery.earlier else ()
        return read_events(delivery.message, self._settings, received_at=self._wall_clock(), settled=settled)

    async def read(self, delivery: Delivery, readings: EventReadings) -> None:
        """Read all events, or as many as there is time for."""
        gathered: _Gathered = defaultdict(list)
        discarded: list[Conversion] = []
        gather_until = self._clock() + GATHER_S
        while await self._read_portion(delivery, readings, gathered, discarded):
            await self._publications.publish_many_refused(delivery)
            most_open = min(self._ahead_a_pixel * len(gathered), MOST_OPEN)
            now = self._clock()
            if delivery.open > most_open or now > gather_until:
                self._submit_all(gathered)
                gather_until = now + GATHER_S
                await delivery.sent(but=most_open)
            if self._clock() > min(delivery.deadline - self._reserve_s / 2, self._read_until):
                break  # others were read at the same time
        self._submit_all(gathered)
        if discarded:
            log_discarded(discarded, of=delivery.counts[f"skipped_{SkipReason.DRY_RUN}"])

    async def leave_unread(self, delivery: Delivery, readings: EventReadings) -> None:
        """Defer what there was no time to read, once all else is at its end: with some settled, it is handed over.

        With nothing settled, or nowhere to hand anything over to, the message comes back as a whole; what is settled is
        kept for its redelivery.
        """
        cause = "shutting_down" if self._stopping else "no_time_left"
        if not (delivery.has_progress and self._publications.may_hand_over):
            delivery.come_back(cause)
            return
        deferred = Deferred(nack_status=503, cause=cause)
        for number, event in enumerate(readings.unread(), start=1):
            if isinstance(event, int):
                delivery.settle_already(event)
            else:
                delivery.defer(event, deferred)
            if number % EVENTS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _read_portion(
        self, delivery: Delivery, readings: EventReadings, gathered: _Gathered, discarded: list[Conversion]
    ) -> bool:
        """Read a portion and tell whether there is more; one portion of all large messages in each turn of the loop."""
        message = delivery.message
        if len(message.data) <= LARGE_MESSAGE_BYTES:
            events = self.read_some(readings)
            self._take(delivery, events, gathered, discarded)
            if more := readings.left > 0:
                await asyncio.sleep(0)
            return more
        async with self._turn_of(message):
            events = await _in_thread_if_huge(message, partial(self.read_some, readings))
            self._take(delivery, events, gathered, discarded)
            await asyncio.sleep(0)
        return readings.left > 0

    def read_some(self, readings: EventReadings) -> list[ReadEvent | int]:
        """Read the next `EVENTS_A_TURN` events, touching nothing else: it may run in a thread."""
        return list(islice(readings, EVENTS_A_TURN))

    def _take(
        self, delivery: Delivery, events: list[ReadEvent | int], gathered: _Gathered, discarded: list[Conversion]
    ) -> None:
        """Settle what is at its end, gather the others, and hand full batches to the batchers."""
        unconfirmed = delivery.earlier.unconfirmed if delivery.earlier else ()
        first_id = first_message_id(delivery.message)
        may_have_dead_letters = bool(first_id) and self._memory.has_any_dead_letter(first_id, self._clock())
        latest_start = delivery.deadline - self._reserve_s - self._settings.request_timeout_s
        for event in events:
            if isinstance(event, int):
                delivery.settle_already(event)
            elif may_have_dead_letters and self._has_dead_letter(delivery, first_id, event):
                delivery.settle_already(event.event_index)
            elif not isinstance(conversion := event.result, Conversion):
                delivery.settle_read(event, conversion)
            elif event.event_index in unconfirmed:
                delivery.reject(event, conversion, UNCONFIRMED_EARLIER)
            else:
                delivery.note_dropped(conversion.dropped)
                if self._settings.dry_run:
                    if len(discarded) < MAX_SHOWN:
                        discarded.append(conversion)
                    delivery.settle(event.event_index, Skipped(SkipReason.DRY_RUN))
                    continue
                batch = gathered[conversion.pixel_id]
                batch.append(delivery.waiting_for(event, conversion, latest_start=latest_start))
                if len(batch) == self._settings.batch.max_conversions:
                    self._submit(conversion.pixel_id, batch)

    def _has_dead_letter(self, delivery: Delivery, first_id: str, event: ReadEvent) -> bool:
        first = delivery.first_index(event.event_index or 0)
        return self._memory.has_dead_letter(first_id, first, event.event_bytes, self._clock())

    def _submit_all(self, gathered: _Gathered) -> None:
        for pixel_id, batch in gathered.items():
            self._submit(pixel_id, batch)

    def _submit(self, pixel_id: str, batch: list[Waiting]) -> None:
        self._batchers[pixel_id].submit(batch)
        batch.clear()

    def _turn_of(self, message: PubsubMessage) -> asyncio.Lock:
        return self._huge_turn if len(message.data) > HUGE_MESSAGE_BYTES else self._large_turn


async def _in_thread_if_huge(message: PubsubMessage, read: Callable[[], _Result]) -> _Result:
    return await asyncio.to_thread(read) if len(message.data) > HUGE_MESSAGE_BYTES else read()
