"""One batch, to the end: send it, and when X refuses it for some of its conversions, find which."""

from collections.abc import Callable, Sequence
from typing import Protocol

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import DeadLetterReason, Deferred, Outcome
from xcapi_core.settings import Settings
from xcapi_core.x_api.bisection import REQUEST_BUDGET, Search
from xcapi_core.x_api.client import Answered, Exchange, NotStarted, SendWindow
from xcapi_core.x_api.protocol import Accepted, RefusedConversions, Unconfirmed
from xcapi_core.x_api.rate_limiter import Pacer
from xcapi_core.x_api.status_table import log_verdict, outcome_of, rejection

__all__ = ["BatchProgress", "Sender"]


class BatchProgress(Protocol):
    """What a batch's owner is told while it is sent; positions are indices into the batch."""

    def settle(self, position: int, outcome: Outcome) -> None:
        """Take one conversion's outcome."""
        ...

    def suspect(self, position: int) -> None:
        """Take note that this conversion's batch was refused and nobody knows yet because of which."""
        ...


class Sender:
    """Sends batches of one pixel, and searches refused ones."""

    def __init__(
        self, *, settings: Settings, pixel_id: str, exchange: Exchange, pacer: Pacer, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._pixel_id = pixel_id
        self._exchange = exchange
        self._pacer = pacer
        self._clock = clock

    async def deliver(
        self,
        batch: Sequence[Conversion],
        progress: BatchProgress,
        window: SendWindow,
    ) -> list[int]:
        """Settle every conversion of the batch; return the positions that must wait for the gate instead.

        The caller has counted the batch with the pacer.
        """
        everyone = list(range(len(batch)))
        window.carried = frozenset(everyone)
        answer = await self._send(batch, window)
        if isinstance(answer, NotStarted):
            return everyone
        if isinstance(answer, Deferred) or not isinstance(answer.verdict, RefusedConversions) or len(batch) == 1:
            self._settle(everyone, self._outcome(answer), progress)
            return []
        search = Search([conversion.wire for conversion in batch], answer.verdict.errors)
        return await self._search(batch, search, answer.verdict.status, progress, window)

    async def _search(
        self,
        batch: Sequence[Conversion],
        search: Search,
        status: int,
        progress: BatchProgress,
        window: SendWindow,
    ) -> list[int]:
        requests = 1
        while True:
            for position, errors in search.take_refused().items():
                progress.settle(position, rejection(DeadLetterReason.REJECTED, status, errors))
            trial = search.next_trial()
            if not trial:
                logs.emit("INFO", "batch.searched", pixel_id=self._pixel_id, conversions=len(batch), requests=requests)
                return []
            if requests >= REQUEST_BUDGET:
                for position in search.unsettled:
                    # So many bad ones so far: who is left is not to be trusted either.
                    progress.suspect(position)
                return self._leave(search, Deferred(nack_status=503, cause="searching"), progress, requests)
            if not window.is_open() or self._pacer.allowance(self._clock()) < len(trial):
                return self._leave(search, None, progress, requests)
            self._pacer.note_sent(len(trial))
            window.carried = frozenset(trial)
            answer = await self._send([batch[position] for position in trial], window)
            requests += 1
            if isinstance(answer, NotStarted):
                return self._leave(search, None, progress, requests)
            if isinstance(answer, Answered) and isinstance(answer.verdict, RefusedConversions):
                status = answer.verdict.status
                search.trial_refused(answer.verdict.errors)
                continue
            outcome = self._outcome(answer)
            if isinstance(answer, Deferred) or not isinstance(answer.verdict, Accepted | Unconfirmed):
                # Whatever this is, the other conversions of the batch would meet it too.
                return self._leave(search, outcome, progress, requests)
            self._settle(trial, outcome, progress)
            search.trial_settled()

    def _leave(self, search: Search, outcome: Outcome | None, progress: BatchProgress, requests: int) -> list[int]:
        """End a search before its end: verdicts reached stand, what comes again comes in small batches.

        Not where every bad one is found, or named by X: the others were merely in one batch with it. In small batches
        they would wait behind each other for minutes while X is unwell, and every further failure would make more.
        """
        rest = search.unsettled
        logs.emit("WARNING", "batch.search_left", pixel_id=self._pixel_id, conversions=len(rest), requests=requests)
        for position in rest if search.is_open else ():
            progress.suspect(position)
        if outcome is None:
            return rest
        self._settle(rest, outcome, progress)
        return []

    async def _send(self, batch: Sequence[Conversion], window: SendWindow) -> Answered | Deferred | NotStarted:
        answer = await self._exchange.send(batch, window)
        if isinstance(answer, Answered):
            log_verdict(
                answer.verdict,
                pixel_id=self._pixel_id,
                conversions=len(batch),
                duration_ms=answer.duration_ms,
            )
        return answer

    def _outcome(self, answer: Answered | Deferred) -> Outcome:
        return answer if isinstance(answer, Deferred) else outcome_of(answer.verdict, self._settings)

    @staticmethod
    def _settle(positions: Sequence[int], outcome: Outcome, progress: BatchProgress) -> None:
        for position in positions:
            progress.settle(position, outcome)
