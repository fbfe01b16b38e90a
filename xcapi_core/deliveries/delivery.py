"""One delivery while it is being settled: what became of each of its events so far."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.dead_letters import RefusedEvent
from xcapi_core.deliveries.indices import IndexSet
from xcapi_core.deliveries.refused import RefusedEvents
from xcapi_core.deliveries.remainder import DeferredEvent
from xcapi_core.events.reading import ReadEvent
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
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.x_api.status_table import loggable_code

__all__ = ["ACK", "Answer", "Delivery"]

# Then a delivery could not settle more than it did: remainders of that size are done in one delivery each.
_RAN_OUT = frozenset({"no_time_left", "bisection_unfinished", "rate_budget_spent"})


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The HTTP status of a delivery: 204 acks, 429 and 503 nack with a cause."""

    status: int
    cause: str = ""

    @property
    def is_ack(self) -> bool:
        """Whether every event of the message is settled."""
        return self.status == HTTPStatus.NO_CONTENT


ACK = Answer(204)


class Delivery:
    """Collects outcomes by event, the refused and the deferred events, and the futures that are open."""

    def __init__(
        self,
        *,
        message: PubsubMessage,
        key: bytes | None,
        deadline: float,
        naming: logs.HowToName,
        unfinished: int = 0,
    ) -> None:
        """Begin one; `unfinished` is how many deliveries of the message a bisection took up in vain."""
        self.message = message
        self.key = key
        self.deadline = deadline
        self.settled = IndexSet()
        self.unconfirmed = IndexSet()
        self.refused = RefusedEvents(message, naming)
        # (pixel_id, conversion_id) of what the log names in the summary.
        self.named: list[tuple[str, str]] = []
        self.first_indices: tuple[int, ...] | None = None
        self._unfinished = unfinished
        # Of a fresh message 0; from 1 on its events go in small batches, from 2 on each in one of its own.
        self.suspicion = unfinished + (message.attributes.get("xcapi_suspect") == "true")
        self.handed_over = 0
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._waiting: deque[tuple[asyncio.Future[Outcome], ReadEvent, Conversion]] = deque()
        self._deferred: list[DeferredEvent] = []
        self._gravest: Deferred | None = None
        self._progress = 0
        self._ran_out = False
        self._has_unfinished = False
        self._is_incomplete = False

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events ended how, by stable names."""
        return self._counts

    def settle(self, event_index: int | None, outcome: Delivered | AlreadyDelivered | Skipped) -> None:
        """Take the end of an event that leaves nothing to do."""
        match outcome:
            case Delivered():
                self._counts["delivered"] += 1
            case Skipped(reason, codes):
                self._counts[f"skipped_{reason}"] += 1
                for code in codes:
                    self._counts[code] += 1
            case AlreadyDelivered():
                self._counts["already_delivered"] += 1
        self._note_settled(event_index, is_progress=not isinstance(outcome, AlreadyDelivered))

    def settle_already(self, event: ReadEvent, conversion: Conversion) -> None:
        """Take an event whose conversion X has: the log names it, so that its fate can be found."""
        self.named.append((conversion.pixel_id, conversion.conversion_id))
        self.settle(event.event_index, AlreadyDelivered())

    def settle_read(self, event: ReadEvent) -> None:
        """Take what reading alone decided: skipped, or a dead letter with the problem."""
        match event.result:
            case Skipped() as skipped:
                self.settle(event.event_index, skipped)
            case Invalid(problem):
                self._refuse(event, DeadLetterReason.INVALID_EVENT, problem)
            case Expired(problem):
                self._refuse(event, DeadLetterReason.EXPIRED, problem)
            case Unreadable(problem):
                self._refuse(event, DeadLetterReason.INVALID_MESSAGE, problem)

    def settle_unconfirmed(self, event: ReadEvent, conversion: Conversion) -> None:
        """Take an event that an earlier delivery sent without a clear answer: only its dead letter is due."""
        words = "an earlier request's answer named another number of conversions than was sent"
        self._reject(
            event,
            conversion,
            Rejected(reason=DeadLetterReason.UNCONFIRMED, http_status=HTTPStatus.OK, error_message=words),
        )

    def defer(self, event: ReadEvent, outcome: Deferred) -> None:
        """Take an event that must wait."""
        self._counts["deferred"] += 1
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

    def await_outcome(self, event: ReadEvent, conversion: Conversion, outcome: asyncio.Future[Outcome]) -> None:
        """Wait for what a batcher says of this conversion."""
        self._waiting.append((outcome, event, conversion))

    def note_dropped(self, codes: Iterable[str]) -> None:
        """Count what was left out of a conversion that is sent all the same."""
        for code in codes:
            self._counts[f"dropped_{code}"] += 1

    def first_index(self, event_index: int) -> int:
        """Return where an event stood in the message in which it came first."""
        return event_index if self.first_indices is None else self.first_indices[event_index]

    @property
    def waiting(self) -> int:
        """How many conversions wait for the batchers."""
        return len(self._waiting)

    async def sent(self, *, but: int = 0) -> None:
        """Wait for the batchers until no more than `but` conversions are open."""
        # One after the other: most are done by the time it is their turn, and cost no callback.
        while len(self._waiting) > but:
            future, event, conversion = self._waiting[0]
            outcome = future.result() if future.done() else await future
            self._waiting.popleft()
            match outcome:
                case Rejected():
                    self._reject(event, conversion, outcome)
                case Deferred():
                    self.defer(event, outcome)
                case AlreadyDelivered():
                    self.settle_already(event, conversion)
                case Delivered() | Skipped():
                    self.settle(event.event_index, outcome)

    def end_waiting(self) -> None:
        """Defer what is open: the delivery's time is up. What X answers later still enters the ledger."""
        for future, _, _ in self._waiting:
            if not future.done():
                future.set_result(Deferred(nack_status=503, cause="no_time_left"))

    def come_back(self, cause: str) -> None:
        """Record that the message has to be delivered again, however much of it is settled."""
        self._is_incomplete = True
        self._note_cause(Deferred(nack_status=503, cause=cause))

    def dead_lettered(self, event_indices: Iterable[int]) -> None:
        """Record that the dead letters of these events are published."""
        event_indices = tuple(event_indices)
        self._progress += len(event_indices)
        self.settled.update(event_indices)

    def remainder(self) -> list[DeferredEvent]:
        """Return the events to hand over: where some wait, others are settled, and nothing else is missing."""
        return self._deferred if self._progress and not self._is_incomplete else []

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

    def _reject(self, event: ReadEvent, conversion: Conversion, rejected: Rejected) -> None:
        if rejected.reason is DeadLetterReason.UNCONFIRMED and event.event_index is not None:
            self.unconfirmed.add(event.event_index)
        refused = msgspec.structs.replace(
            self._refused_event(event, rejected.reason),
            http_status=rejected.http_status,
            error_code=rejected.error_code,
            error_parameter=rejected.error_parameter,
            error_message=rejected.error_message,
            pixel_id=conversion.pixel_id,
            conversion_id=conversion.conversion_id,
        )
        self._add_refused(
            refused,
            pixel_id=conversion.pixel_id,
            http_status=rejected.http_status,
            error_code=loggable_code(rejected.error_code),
        )

    def _refuse(self, event: ReadEvent, reason: DeadLetterReason, problem: Problem) -> None:
        # A problem names places and kinds, never values.
        words = str(problem)
        refused = msgspec.structs.replace(
            self._refused_event(event, reason),
            error_parameter=problem.path,
            error_message=words,
            pixel_id=event.pixel_id,
            conversion_id=event.conversion_id,
        )
        self._add_refused(refused, problem=words)

    def _add_refused(self, refused: RefusedEvent, **facts: str | int) -> None:
        self._counts[refused.reason.value] += 1
        if not self.refused.add(refused, **facts) and refused.conversion_id:
            self.named.append((refused.pixel_id, refused.conversion_id))

    def _refused_event(self, event: ReadEvent, reason: DeadLetterReason) -> RefusedEvent:
        return RefusedEvent(
            event_index=event.event_index,
            first_index=None if event.event_index is None else self.first_index(event.event_index),
            event_bytes=event.event_bytes,
            envelope=event.envelope,
            reason=reason,
            format=event.format,
        )

    def _note_cause(self, deferred: Deferred) -> None:
        if self._gravest is None or deferred.nack_status > self._gravest.nack_status:
            self._gravest = deferred

    def _note_settled(self, event_index: int | None, *, is_progress: bool) -> None:
        self._progress += is_progress
        if event_index is not None:
            self.settled.add(event_index)
