"""Concurrent deliveries → batches: group commit, one batcher a pixel.

While a request is in flight, what arrives waits; when it returns, all that waits goes out together, up to 500 a
request. Nobody waits for a timer: a lone event leaves at once, and a flood fills batches by itself. A further request
opens beside those in flight when a quarter of a full batch waits, or when X takes longer than `PATIENCE_S`.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import AlreadyDelivered, DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.client import SendWindow
from xcapi_core.x_api.queue import Waiting, WaitingQueue
from xcapi_core.x_api.rate_limiter import Pacer
from xcapi_core.x_api.sending import Sender
from xcapi_core.x_api.suspects import Suspects

__all__ = ["Batcher"]

# Pub/Sub narrows a push subscription whose answers take longer than a second; half of that is left for X.
PATIENCE_S = 0.5
# A further request opens beside those in flight when one part in so many of a full batch waits. With a full batch only,
# 400 concurrent deliveries are two halves, one waiting for the other's answer.
SHARE_TO_OPEN = 4
# Those left over from a search that cost too much: their next batches are this small.
SUSPECT_BATCH = 10
# A timer that fires a hair early would find nothing to do.
_TIMER_SLACK_S = 0.002


class Batcher:
    """One pixel's way to X: what waits, what is in flight, and the gate in front of it."""

    def __init__(
        self,
        *,
        batch: BatchSettings,
        pixel_id: str,
        sender: Sender,
        pacer: Pacer,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = batch
        self._pixel_id = pixel_id
        self._sender = sender
        self._pacer = pacer
        self._ledger = ledger
        self._clock = clock
        self._fresh = WaitingQueue()
        self._suspected = WaitingQueue()
        self._suspects = Suspects()
        self._open: dict[int, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: list[tuple[list[Waiting], SendWindow]] = []
        self._fresh_in_flight = 0
        self._suspected_in_flight = 0
        self._last_start = -math.inf
        self._last_was_suspected = False
        self._stopping = False
        self._pump_scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(
        self,
        conversion: Conversion,
        key: int,
        *,
        latest_start: float,
        more_to_come: bool = False,
        suspect: bool = False,
    ) -> "asyncio.Future[Outcome]":
        """Queue one conversion; the future always gets an outcome, by about `latest_start` plus one request.

        `key` is the ledger's key of pixel, event tag and conversion id. `latest_start` is on the batcher's clock: no
        request that carries the conversion starts after it. With `more_to_come` the caller has further conversions at
        hand and calls `wake` after the last of them: a message for many pixels fills the batches of each. `suspect` is
        what an unfinished bisection left: it goes in a small batch.
        """
        if suspect:
            self._suspects.add(key)
        waiting = Waiting(conversion, key, latest_start, asyncio.get_running_loop().create_future())
        self._queue(waiting)
        if not more_to_come or len(self._fresh) >= self._limits.max_conversions:
            self.wake()
        return waiting.outcome

    def wake(self) -> None:
        """See what may be sent, once this turn of the event loop is over."""
        # Through the loop: deliveries whose bytes are already here are read first and share the request.
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def stop(self) -> None:
        """Answer whoever waits, be it for a slot, the gate or keys; start nothing more. What is on its way goes on."""
        self._stopping = True
        for batch, window in self._under_way:
            for position, waiting in enumerate(batch):
                if not (window.on_wire and position in window.carried):
                    self.settle(waiting, Deferred(nack_status=503, cause="shutting_down"))
        self.wake()

    def _queue(self, waiting: Waiting) -> None:
        first = self._open.setdefault(waiting.key, waiting)
        if first is not waiting:
            first.twins.append(waiting)
            return
        self._queue_of(waiting).add(waiting)

    def _queue_of(self, waiting: Waiting) -> WaitingQueue:
        return self._suspected if waiting.key in self._suspects else self._fresh

    def _pump(self) -> None:
        self._pump_scheduled = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        self._answer_hopeless(now)
        while self._may_open_another() and self._pacer.allowance(now) > 0:
            # One small batch goes beside whatever flood of fresh ones there is, or it would wait for ever.
            if self._suspected and (not self._suspected_in_flight or not self._fresh) and self._suspects_turn():
                self._launch(self._suspected.take(min(SUSPECT_BATCH, self._pacer.allowance(now))), suspected=True)
            elif self._fresh and self._fresh_may_open(now):
                self._launch(
                    self._fresh.take(min(self._limits.max_conversions, self._pacer.allowance(now))), suspected=False
                )
            else:
                break
        if self._fresh or self._suspected:
            self._timer = asyncio.get_running_loop().call_later(self._next_wake_s(now), self._pump)

    def _suspects_turn(self) -> bool:
        """Tell whether a small batch may start: one slot stays for fresh ones; of a single slot they take turns."""
        if self._limits.max_in_flight == 1:
            return not self._fresh or not self._last_was_suspected
        return self._suspected_in_flight < self._limits.max_in_flight - 1

    def _answer_hopeless(self, now: float) -> None:
        """Answer at once those that cannot be sent in their time; the others wait for the gate, or the budget."""
        shutting_down = Deferred(nack_status=503, cause="shutting_down")
        for queue in (self._fresh, self._suspected):
            if self._stopping:
                hopeless = [(waiting, shutting_down) for waiting in queue.take_all()]
            else:
                hopeless = queue.take_hopeless(now, self._pacer)
            for waiting, outcome in hopeless:
                self.settle(waiting, outcome)

    def _may_open_another(self) -> bool:
        in_flight = self._fresh_in_flight + self._suspected_in_flight
        return in_flight < (1 if self._pacer.probing else self._limits.max_in_flight) and self._may_start()

    def _may_start(self) -> bool:
        now = self._clock()
        return not self._stopping and self._pacer.opens_at(now) <= now

    def _fresh_may_open(self, now: float) -> bool:
        return (
            self._fresh_in_flight == 0
            or len(self._fresh) * SHARE_TO_OPEN >= self._limits.max_conversions
            or now - self._last_start >= PATIENCE_S
        )

    def _next_wake_s(self, now: float) -> float:
        """Seconds until something can change by itself; anything else wakes the batcher when it happens."""
        moments = [
            self._fresh.earliest,
            self._suspected.earliest,
            self._pacer.opens_at(now),
            self._pacer.next_capacity_at(now),
        ]
        if self._fresh_in_flight:
            moments.append(self._last_start + PATIENCE_S)
        return min((moment - now for moment in moments if moment > now), default=PATIENCE_S) + _TIMER_SLACK_S

    def _launch(self, batch: list[Waiting], *, suspected: bool) -> None:
        self._last_was_suspected = suspected
        if suspected:
            self._suspected_in_flight += 1
        else:
            self._fresh_in_flight += 1
            self._last_start = self._clock()
        # Counted here and not when the request starts: the next turn of the pump must find them gone.
        self._pacer.note_sent(len(batch))
        task = asyncio.create_task(self._run(batch, suspected=suspected))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[Waiting], *, suspected: bool) -> None:
        again: list[Waiting] = []
        window = SendWindow(min(waiting.latest_start for waiting in batch), self._may_start)
        self._under_way.append((batch, window))
        try:
            positions = await self._sender.deliver(
                [waiting.conversion for waiting in batch],
                _Progress(self, batch),
                window,
            )
            again = [batch[position] for position in positions if not batch[position].outcome.done()]
        except Exception as error:  # noqa: BLE001 - a bug here must not leave deliveries hanging
            logs.emit("ERROR", "batcher.crashed", error, pixel_id=self._pixel_id)
        finally:
            self._under_way.remove((batch, window))
            if suspected:
                self._suspected_in_flight -= 1
            else:
                self._fresh_in_flight -= 1
            for waiting in reversed(again):
                self._queue_of(waiting).put_back(waiting)
            for waiting in batch:
                if not (waiting.outcome.done() or waiting in again):
                    self.settle(waiting, Deferred(nack_status=503, cause="internal_error"))
            self.wake()

    def settle(self, waiting: Waiting, outcome: Outcome) -> None:
        """Give one conversion its outcome, write it into the ledger, and see to its twins."""
        if self._open.get(waiting.key) is waiting:
            del self._open[waiting.key]
        if isinstance(outcome, Delivered):
            # Also when nobody waits any more: what X has is not sent again.
            self._ledger.add((waiting.key,), self._clock())
        if not isinstance(outcome, Deferred):
            self._suspects.discard(waiting.key)
        if not waiting.outcome.done():
            waiting.outcome.set_result(outcome)
        twins, waiting.twins = waiting.twins, []
        for twin in twins:
            if isinstance(outcome, Delivered):
                self.settle(twin, AlreadyDelivered())
            elif _holds_for_twins(outcome) or twin.conversion.wire == waiting.conversion.wire:
                self.settle(twin, outcome)
            else:
                # Refused, but for something that this one may not share.
                self._queue(twin)
                self.wake()

    def suspect(self, waiting: Waiting) -> None:
        """Send this one in small batches from now on, until X has judged it."""
        self._suspects.add(waiting.key)


def _holds_for_twins(outcome: Outcome) -> bool:
    """Tell whether another conversion with the same key ends alike: it must not be sent after an unclear answer."""
    unclear = isinstance(outcome, Rejected) and outcome.reason is DeadLetterReason.UNCONFIRMED
    return unclear or isinstance(outcome, Deferred)


@dataclass(frozen=True, slots=True)
class _Progress:
    """Translates a batch's positions into those who wait."""

    batcher: Batcher
    batch: list[Waiting]

    def settle(self, position: int, outcome: Outcome) -> None:
        self.batcher.settle(self.batch[position], outcome)

    def suspect(self, position: int) -> None:
        self.batcher.suspect(self.batch[position])
