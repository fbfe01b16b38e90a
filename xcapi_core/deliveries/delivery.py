"""One delivery while it is being settled: what became of each of its events so far."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.dead_letters import Undeliverable
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
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.x_api.status_table import loggable_code

__all__ = ["Answer", "Delivery"]

# A message of 20,000 bad events is one mistake: so many lines show it, the summary counts the rest.
MAX_EVENT_LINES = 20


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The HTTP status of a delivery: 204 acks, 429 and 503 nack with a cause."""

    status: int
    cause: str = ""

    @property
    def is_ack(self) -> bool:
        """Whether every event of the message is settled."""
        return self.status == 204  # noqa: PLR2004 - HTTP


class Delivery:
    """Collects outcomes by event, the letters that are due, and the futures that are open."""

    def __init__(self, *, message: PubsubMessage, deadline: float) -> None:
        self.message = message
        self.deadline = deadline
        self.settled_indices: set[int] = set()
        self._unconfirmed_indices: set[int] = set()
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._undeliverable: list[Undeliverable] = []
        self._waiting: deque[tuple[asyncio.Future[Outcome], ReadEvent, Conversion]] = deque()
        self._deferred: list[Deferred] = []
        self._lines = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events ended how, by stable names."""
        return self._counts

    @property
    def unconfirmed_indices(self) -> set[int]:
        """The events that X may have, and whose letters are not safe: they must not be sent again by themselves."""
        return self._unconfirmed_indices - self.settled_indices

    def settle(self, event_index: int | None, outcome: Delivered | AlreadyDelivered | Skipped | Deferred) -> None:
        """Take the end of an event that leaves no letter."""
        match outcome:
            case Delivered():
                self._counts["delivered"] += 1
            case Deferred():
                self._deferred.append(outcome)
                self._counts["deferred"] += 1
                return
            case Skipped(reason):
                self._counts[f"skipped_{reason}"] += 1
            case AlreadyDelivered():
                self._counts["already_delivered"] += 1
        self._note_settled(event_index)

    def settle_read(self, event: ReadEvent) -> None:
        """Take what reading alone decided: skipped, or a letter with the problem."""
        match event.result:
            case Skipped() as skipped:
                self.settle(event.event_index, skipped)
            case Invalid(problem):
                self._refuse(event, DeadLetterReason.INVALID_EVENT, parameter=problem.path, words=str(problem))
            case Expired(problem):
                self._refuse(event, DeadLetterReason.EXPIRED, parameter=problem.path, words=str(problem))
            case Unreadable(problem):
                self._refuse(event, DeadLetterReason.INVALID_MESSAGE, parameter=problem.path, words=str(problem))

    def settle_unconfirmed(self, event: ReadEvent, conversion: Conversion) -> None:
        """Take an event that an earlier delivery sent without a clear answer: only its letter is due."""
        words = "an earlier request's answer named another number of conversions than was sent"
        self._reject(
            event,
            conversion,
            Rejected(reason=DeadLetterReason.UNCONFIRMED, http_status=HTTPStatus.OK, error_message=words),
        )

    def await_outcome(self, event: ReadEvent, conversion: Conversion, outcome: asyncio.Future[Outcome]) -> None:
        """Wait for what a batcher says of this conversion."""
        self._waiting.append((outcome, event, conversion))

    def note_dropped(self, codes: Iterable[str]) -> None:
        """Count what was left out of a conversion that is sent all the same."""
        for code in codes:
            self._counts[f"dropped_{code}"] += 1

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
            if isinstance(outcome, Rejected):
                self._reject(event, conversion, outcome)
            elif isinstance(outcome, Delivered | AlreadyDelivered | Skipped | Deferred):
                self.settle(event.event_index, outcome)

    def end_waiting(self) -> None:
        """Defer what is open: the delivery's time is up. What X answers later still enters the ledger."""
        for future, _, _ in self._waiting:
            if not future.done():
                future.set_result(Deferred(nack_status=503, cause="no_time_left"))

    def defer_rest(self, cause: str) -> None:
        """Take note that the message was not read to its end; it comes back, and goes on from there."""
        self._deferred.append(Deferred(nack_status=503, cause=cause))

    def take_undeliverable(self) -> list[Undeliverable]:
        """Return the events whose letters are due, and forget them."""
        due, self._undeliverable = self._undeliverable, []
        return due

    def mailed(self, event_indices: Iterable[int]) -> None:
        """Take note that the letters of these events are safe."""
        self.settled_indices.update(event_indices)

    def not_mailed(self) -> None:
        """Take note that a letter could not be published: the message must come back."""
        self._deferred.append(Deferred(nack_status=503, cause="dead_letters_unavailable"))

    def answer(self) -> Answer:
        """Return the delivery's status: 204 when nothing is deferred; of two causes to nack the graver, 503."""
        if not self._deferred:
            return Answer(204)
        gravest = max(self._deferred, key=lambda deferred: deferred.nack_status)
        return Answer(gravest.nack_status, gravest.cause)

    def _reject(self, event: ReadEvent, conversion: Conversion, rejected: Rejected) -> None:
        if rejected.reason is DeadLetterReason.UNCONFIRMED and event.event_index is not None:
            self._unconfirmed_indices.add(event.event_index)
        self._undeliverable.append(
            Undeliverable(
                event_index=event.event_index,
                event_bytes=event.message_data(),
                reason=rejected.reason,
                http_status=rejected.http_status,
                error_code=rejected.error_code,
                error_parameter=rejected.error_parameter,
                error_message=rejected.error_message,
                pixel_id=conversion.pixel_id,
                conversion_id=conversion.conversion_id,
                format=event.format,
            )
        )
        self._count_refused(
            event,
            rejected.reason,
            pixel_id=conversion.pixel_id,
            http_status=rejected.http_status,
            error_code=loggable_code(rejected.error_code),
        )

    def _refuse(self, event: ReadEvent, reason: DeadLetterReason, *, parameter: str, words: str) -> None:
        self._undeliverable.append(
            Undeliverable(
                event_index=event.event_index,
                event_bytes=event.message_data(),
                reason=reason,
                error_parameter=parameter,
                error_message=words,
                pixel_id=event.pixel_id,
                conversion_id=event.conversion_id,
                format=event.format,
            )
        )
        # A problem names places and kinds, never values.
        self._count_refused(event, reason, problem=words)

    def _count_refused(self, event: ReadEvent, reason: DeadLetterReason, **facts: str | int) -> None:
        self._counts[reason.value] += 1
        if self._lines >= MAX_EVENT_LINES:
            return
        self._lines += 1
        logs.emit(
            "WARNING",
            f"event.{reason.value.removesuffix('_event').removesuffix('_message')}",
            reason=reason.value,
            message_id=self.message.loggable_id,
            event_index=-1 if event.event_index is None else event.event_index,
            **facts,
        )

    def _note_settled(self, event_index: int | None) -> None:
        if event_index is not None:
            self.settled_indices.add(event_index)
