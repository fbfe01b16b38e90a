"""One message's events, portion by portion: each settled at once, or handed to its pixel's batcher."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.delivery import Delivery
from xcapi_core.deliveries.dry_run import MAX_SHOWN, log_discarded
from xcapi_core.deliveries.memory import DeliveryMemory
from xcapi_core.events.reading import ReadEvent
from xcapi_core.ledger import Ledger
from xcapi_core.origins import first_message_id
from xcapi_core.outcomes import AlreadyDelivered, Deferred, Skipped, SkipReason
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher

__all__ = ["EVENTS_A_TURN", "Intake"]

# The event loop serves others after so many events: 20,000 of one message take a third of a second of computing. As
# many as one request carries, so that a message of that size leaves in one.
EVENTS_A_TURN = 500


class Intake:
    """Reads one message into its delivery."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        ledger: Ledger,
        memory: DeliveryMemory,
        readings: Iterator[ReadEvent | int],
        latest_start: float,
        is_stopping: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._delivery = delivery
        self._settings = settings
        self._batchers = batchers
        self._ledger = ledger
        self._memory = memory
        self._latest_start = latest_start
        self._is_stopping = is_stopping
        self._clock = clock
        now = clock()
        self._unconfirmed = memory.unconfirmed_of(delivery.key, now)
        self._first_id = first_message_id(delivery.message)
        self._may_have_dead_letters = bool(self._first_id) and memory.has_any_dead_letter(self._first_id, now)
        self._used: set[Batcher] = set()
        self._discarded: list[Conversion] = []
        self._discarded_in_all = 0
        self._readings = readings

    def read_some(self) -> list[ReadEvent | int]:
        """Read the next `EVENTS_A_TURN` events, touching nothing else: it may run in a thread."""
        return list(islice(self._readings, EVENTS_A_TURN))

    def take(self, events: list[ReadEvent | int]) -> None:
        """Settle what is at its end, and hand the others to the batchers."""
        for event in events:
            if isinstance(event, int):
                self._delivery.settle(event, AlreadyDelivered())
            elif self._may_have_dead_letters and self._has_dead_letter(event):
                self._delivery.settle(event.event_index, AlreadyDelivered())
            elif not isinstance(event.result, Conversion):
                self._delivery.settle_read(event)
            elif event.event_index in self._unconfirmed:
                self._delivery.settle_unconfirmed(event, event.result)
            elif self._settings.dry_run:
                self._discard(event.event_index, event.result)
            else:
                self._submit(event, event.result)

    @property
    def batchers_used(self) -> int:
        """How many pixels the message has had conversions for so far."""
        return len(self._used)

    def end(self) -> None:
        """Record that nothing more is read."""
        self.wake_batchers()
        if self._discarded:
            log_discarded(self._discarded, of=self._discarded_in_all)

    def wake_batchers(self) -> None:
        """Let the batchers send what they were handed; nothing more comes for the moment."""
        for batcher in self._used:
            batcher.wake()

    def _has_dead_letter(self, event: ReadEvent) -> bool:
        index = event.event_index or 0
        first = self._delivery.first_index(index)
        return self._memory.has_dead_letter(self._first_id, first, event.event_bytes, self._clock())

    def _discard(self, event_index: int | None, conversion: Conversion) -> None:
        self._discarded_in_all += 1
        if len(self._discarded) < MAX_SHOWN:
            self._discarded.append(conversion)
        self._delivery.note_dropped(conversion.dropped)
        self._delivery.settle(event_index, Skipped(SkipReason.DRY_RUN))

    def _submit(self, event: ReadEvent, conversion: Conversion) -> None:
        key = self._ledger.digest(*conversion.identity)
        self._delivery.note_dropped(conversion.dropped)
        now = self._clock()
        if self._ledger.has(key, now):
            self._delivery.settle_already(event, conversion)
        elif self._is_stopping():
            self._delivery.defer(event, Deferred(nack_status=503, cause="shutting_down"))
        elif now > self._latest_start:
            self._delivery.defer(event, Deferred(nack_status=503, cause="no_time_left"))
        else:
            batcher = self._batchers[conversion.pixel_id]
            self._used.add(batcher)
            outcome = batcher.submit(
                conversion,
                key,
                latest_start=self._latest_start,
                more_to_come=True,
                suspect=self._delivery.suspicion > 0,
                alone=self._delivery.suspicion > 1,
            )
            self._delivery.await_outcome(event, conversion, outcome)
