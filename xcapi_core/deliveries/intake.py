"""One message's events, portion by portion: each settled at once, or handed to its pixel's batcher."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.delivery import Delivery
from xcapi_core.deliveries.dry_run import MAX_SHOWN, log_discarded
from xcapi_core.deliveries.publishing import Mailer
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.ledger import Ledger
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
        key: bytes | None,
        *,
        settings: Settings,
        batchers: Mapping[str, Batcher],
        ledger: Ledger,
        mailer: Mailer,
        received_at: datetime,
        latest_start: float,
        is_stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delivery = delivery
        self._key = key
        self._settings = settings
        self._batchers = batchers
        self._ledger = ledger
        self._mailer = mailer
        self._latest_start = latest_start
        self._is_stopping = is_stopping
        self._clock = clock
        self._unconfirmed = ledger.unconfirmed_of(key) if key else frozenset()
        self._used: set[Batcher] = set()
        self._discarded: list[Conversion] = []
        self._discarded_in_all = 0
        settled = ledger.settled_of(key) if key else frozenset()
        self._events: Iterator[ReadEvent | int] = read_events(
            delivery.message, settings, received_at=received_at, settled=settled
        )

    def read_some(self) -> bool:
        """Read the next `EVENTS_A_TURN` events; tell whether there may be more."""
        may_be_mailed = self._mailer.has_mailed_any(self._key)
        count = 0
        for event in islice(self._events, EVENTS_A_TURN):
            count += 1
            if isinstance(event, int):
                self._delivery.settle(event, AlreadyDelivered())
            elif may_be_mailed and self._mailer.has_mailed(self._key, event.event_index):
                self._delivery.settle(event.event_index, AlreadyDelivered())
            elif not isinstance(event.result, Conversion):
                self._delivery.settle_read(event)
            elif event.event_index in self._unconfirmed:
                self._delivery.settle_unconfirmed(event, event.result)
            elif self._settings.dry_run:
                self._discard(event.event_index, event.result)
            else:
                self._submit(event, event.result)
        return count == EVENTS_A_TURN

    @property
    def batchers_used(self) -> int:
        """How many pixels the message has had conversions for so far."""
        return len(self._used)

    def end(self) -> None:
        """Take note that nothing more is read."""
        self.wake_batchers()
        if self._discarded:
            log_discarded(self._discarded, of=self._discarded_in_all)

    def wake_batchers(self) -> None:
        """Let the batchers send what they were handed; nothing more comes for the moment."""
        for batcher in self._used:
            batcher.wake()

    def _discard(self, event_index: int | None, conversion: Conversion) -> None:
        self._discarded_in_all += 1
        if len(self._discarded) < MAX_SHOWN:
            self._discarded.append(conversion)
        self._delivery.note_dropped(conversion.dropped)
        self._delivery.settle(event_index, Skipped(SkipReason.DRY_RUN))

    def _submit(self, event: ReadEvent, conversion: Conversion) -> None:
        key = self._ledger.digest(*conversion.identity)
        self._delivery.note_dropped(conversion.dropped)
        if self._ledger.has(key, self._clock()):
            self._delivery.settle(event.event_index, AlreadyDelivered())
        elif self._is_stopping():
            self._delivery.settle(event.event_index, Deferred(nack_status=503, cause="shutting_down"))
        else:
            batcher = self._batchers[conversion.pixel_id]
            self._used.add(batcher)
            outcome = batcher.submit(conversion, key, latest_start=self._latest_start, more_to_come=True)
            self._delivery.await_outcome(event, conversion, outcome)
