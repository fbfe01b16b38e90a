"""One delivery while it is being settled: what became of each of its events so far."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.memory import IndexSet, Progress
from xcapi_core.deliveries.refused import RefusedEvent, log_refused, refused_by_x, refused_on_reading
from xcapi_core.deliveries.remainder import DeferredEvent
from xcapi_core.events.reading import MessageEvent, ReadEvent
from xcapi_core.events.splitting import Unreadable
from xcapi_core.outcomes import (
    AlreadyDelivered,
    DeadLetterReason,
    Deferred,
    Delivered,
    Expired,
    Invalid,
    Outcome,
    Rejected,
    Skipped,
)
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.x_api.queue import Waiting

__all__ = ["ACK", "Answer", "Delivery"]

# Then a delivery could not settle more than it did: remainders of that size are done in one delivery each.
_RAN_OUT = frozenset({"no_time_left", "bisection_unfinished", "rate_budget_spent"})
# A message of 20,000 bad events is one mistake: so many lines show it, the summary counts the rest.
MAX_EVENT_LINES = 20


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The HTTP status of a delivery: 204 acks, 429 and 503 nack with a cause."""

    status: int
    cause: str = ""

    @property
    def is_ack(self) -> bool:
        """Whether every event of the message is settled."""
        return self.status == _ACKED


_ACKED = 204  # asked for several times a delivery: an enumeration's member takes longer to look up than to compare
ACK = Answer(_ACKED)


class Delivery:
    """Collects outcomes by event, the refused and the deferred events, and what is on its way to X."""

    first_indices: tuple[int, ...] | None = None
    handed_over = 0
    _lines = 0
    _gravest: Deferred | None = None
    _progress = 0
    _ran_out = False
    _has_unfinished = False
    _is_incomplete = False

    def __init__(
        self,
        *,
        message: PubsubMessage,
        key: int | None,
        deadline: float,
        naming: logs.HowToName,
        earlier: Progress | None = None,
    ) -> None:
        """Begin one; `earlier` is what is known of deliveries of the same message."""
        self.message = message
        self.key = key
        self.deadline = deadline
        self.earlier = earlier
        self.settled = IndexSet()
        # Those that X may have, but did not confirm.
        self.unconfirmed: list[int] = []
        # (pixel_id, conversion_id) of what the log names in the summary.
        self.named: list[tuple[str, str]] = []
        # Refused events whose dead letters are due.
        self.refused: list[RefusedEvent] = []
        # A bisection took up the message so many times in vain. Of a fresh message 0; from 1 on its events go in small
        # batches, from 2 on each in one of its own.
        self._unfinished = earlier.unfinished if earlier else 0
        self.suspicion = self._unfinished + (message.attributes.get("xcapi_suspect") == "true")
        self._naming: logs.HowToName = naming
        # How many events ended how, by stable names.
        self.counts: defaultdict[str, int] = defaultdict(int)
        self._open: dict[Waiting, ReadEvent] = {}
        # Who waits until no more than so many are open.
        self._few_open: tuple[int, asyncio.Future[None]] | None = None
        self._deferred: list[DeferredEvent] = []

    def settle(self, event_index: int | None, outcome: Delivered | Skipped) -> None:
        """Take the end of an event that leaves nothing to do."""
        if isinstance(outcome, Skipped):
            self.counts[f"skipped_{outcome.reason}"] += 1
            for code in outcome.codes:
                self.counts[code] += 1
        else:
            self.counts["delivered"] += 1
        self._progress += 1
        if event_index is not None:
            self.settled.add(event_index)

    def settle_already(self, event_index: int | None, conversion: Conversion | None = None) -> None:
        """Take an event that is settled since an earlier delivery: no progress of this one.

        Where X has its conversion, the log names that, so that its fate can be found. Otherwise it may as well have
        been skipped or handed over, or have its dead letter.
        """
        if conversion is None:
            self.counts["already_settled"] += 1
        else:
            self.counts["already_delivered"] += 1
            self.named.append((conversion.pixel_id, conversion.conversion_id))
        if event_index is not None:
            self.settled.add(event_index)

    def settle_read(self, event: ReadEvent, result: Skipped | Invalid | Expired | Unreadable) -> None:
        """Take what reading alone decided: skipped, or a dead letter with the problem."""
        if isinstance(result, Skipped):
            self.settle(event.event_index, result)
        else:
            self._refuse(refused_on_reading(event, result, first_index=self._first_index_of(event)))

    def reject(self, event: ReadEvent, conversion: Conversion, rejected: Rejected) -> None:
        """Take an event whose conversion X refused, or may have without a clear answer: its dead letter is due."""
        if rejected.reason is DeadLetterReason.UNCONFIRMED and event.event_index is not None:
            self.unconfirmed.append(event.event_index)
        self._refuse(refused_by_x(event, conversion, rejected, first_index=self._first_index_of(event)))

    def defer(self, event: MessageEvent, outcome: Deferred) -> None:
        """Take an event that must wait."""
        self.counts["deferred"] += 1
        self._note_cause(outcome)
        if outcome.cause in _RAN_OUT:
            self._ran_out = True
            self._has_unfinished |= outcome.suspect
        if event.event_index is not None:
            self._deferred.append(
                DeferredEvent(
                    event_index=event.event_index,
                    first_index=self.first_index(event.event_index),
                    event_bytes=event.event_bytes,
                    envelope=event.envelope,
                    format=event.format,
                    is_suspect=outcome.suspect or self.suspicion > 0,
                )
            )

    def waiting_for(self, event: ReadEvent, conversion: Conversion, *, latest_start: float) -> Waiting:
        """Return what a batcher takes to send an event's conversion, and to say what became of it."""
        waiting = Waiting(conversion, latest_start, self, self.suspicion > 0, self.suspicion > 1)
        self._open[waiting] = event
        return waiting

    def take_outcome(self, waiting: Waiting, outcome: Outcome) -> None:
        """Take what a batcher says of a conversion."""
        event = self._open.pop(waiting, None)
        if event is None:
            return  # the delivery's time was up before
        match outcome:
            case Delivered() | Skipped():
                self.settle(event.event_index, outcome)
            case AlreadyDelivered():
                self.settle_already(event.event_index, waiting.conversion)
            case Rejected():
                self.reject(event, waiting.conversion, outcome)
            case Deferred():
                self.defer(event, outcome)
        self._tell_few_open()

    def note_dropped(self, codes: Iterable[str]) -> None:
        """Count what was left out of a conversion that is sent all the same."""
        for code in codes:
            self.counts[f"dropped_{code}"] += 1

    def take_refused(self) -> list[RefusedEvent]:
        """Return the refused events whose dead letters are due, and forget them."""
        refused, self.refused = self.refused, []
        return refused

    def in_all(self, reason: DeadLetterReason) -> int:
        """Return how many events were refused for one reason so far."""
        return self.counts.get(reason.value, 0)

    def first_index(self, event_index: int) -> int:
        """Return where an event stood in the message in which it came first."""
        return event_index if self.first_indices is None else self.first_indices[event_index]

    @property
    def open(self) -> int:
        """How many conversions are on their way."""
        return len(self._open)

    async def sent(self, *, but: int = 0) -> None:
        """Wait until no more than `but` conversions are open."""
        if len(self._open) > but:
            self._few_open = but, asyncio.get_running_loop().create_future()
            await self._few_open[1]

    def end_waiting(self) -> None:
        """Defer what is open: the delivery's time is up. What X answers later still enters the ledger."""
        events, self._open = self._open.values(), {}
        for event in events:
            self.defer(event, Deferred(nack_status=503, cause="no_time_left"))
        self._tell_few_open()

    def _tell_few_open(self) -> None:
        if self._few_open and len(self._open) <= self._few_open[0] and not self._few_open[1].done():
            self._few_open[1].set_result(None)

    def come_back(self, cause: str) -> None:
        """Record that the message has to be delivered again, however much of it is settled."""
        self._is_incomplete = True
        self._note_cause(Deferred(nack_status=503, cause=cause))

    def dead_lettered(self, event_indices: Iterable[int]) -> None:
        """Record that the dead letters of these events are published."""
        event_indices = tuple(event_indices)
        self._progress += len(event_indices)
        self.settled.update(event_indices)

    @property
    def has_progress(self) -> bool:
        """Whether this delivery settled anything: then what it defers may be handed over."""
        return self._progress > 0

    def remainder(self) -> list[DeferredEvent]:
        """Return the events to hand over: where some wait, others are settled, and nothing else is missing."""
        return self._deferred if self.has_progress and not self._is_incomplete else []

    @property
    def unfinished(self) -> int:
        """How many deliveries in a row, this one included, a bisection took up without settling anything."""
        return self._unfinished + 1 if self._has_unfinished and not self._progress else 0

    @property
    def manageable(self) -> int | None:
        """How many events one delivery settles, where time or budget ran out; None where neither did."""
        return self._progress if self._ran_out else None

    def hand_over(self) -> None:
        """Record that the deferred events are published to the remainder topic."""
        self.handed_over = len(self._deferred)
        self.settled.update(event.event_index for event in self._deferred)

    def answer(self) -> Answer:
        """Return the delivery's status: 204 when nothing is left to do; of two causes to nack the graver, 503."""
        if self._gravest is None or self.handed_over:
            return ACK
        return Answer(self._gravest.nack_status, self._gravest.cause)

    @property
    def cause(self) -> str:
        """Why events were deferred, handed over or not; "" where none was."""
        return self._gravest.cause if self._gravest else ""

    def _refuse(self, refused: RefusedEvent) -> None:
        self.refused.append(refused)
        self.counts[refused.reason.value] += 1
        if self._lines < MAX_EVENT_LINES:
            self._lines += 1
            log_refused(refused, message_id=self.message.loggable_id, naming=self._naming)
        elif refused.conversion_id:
            self.named.append((refused.pixel_id, refused.conversion_id))

    def _first_index_of(self, event: ReadEvent) -> int | None:
        return None if event.event_index is None else self.first_index(event.event_index)

    def _note_cause(self, deferred: Deferred) -> None:
        if self._gravest is None or deferred.nack_status > self._gravest.nack_status:
            self._gravest = deferred
