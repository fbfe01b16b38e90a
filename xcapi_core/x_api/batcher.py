"""Concurrent deliveries → batches: group commit, one batcher a pixel.

While a request is in flight, what arrives waits; when it returns, all that waits goes out together, up to 500 a
request. No event waits for a timer: a lone event leaves at once, and a flood fills batches by itself. A further request
opens beside those in flight when a quarter of a full batch waits, or when X takes longer than `PATIENCE_S`.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from xcapi_core import logs
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import AlreadyDelivered, Deferred, Delivered, Outcome
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.bisection import settle_batch
from xcapi_core.x_api.client import BatchAnswer, SendWindow, XClient
from xcapi_core.x_api.pause import Pause
from xcapi_core.x_api.queue import Flight, Waiting, WaitingQueue
from xcapi_core.x_api.rate_limiter import RateLimiter

__all__ = ["Batcher"]

# Pub/Sub narrows a push subscription whose answers take longer than a second; half of that is left for X.
PATIENCE_S = 0.5
# A further request opens beside those in flight when one part in so many of a full batch waits. With a full batch only,
# 400 concurrent deliveries are two halves, one waiting for the other's answer.
SHARE_TO_OPEN = 4
# What an unfinished bisection left is sent in batches of this size.
SUSPECT_BATCH = 10
# A timer that fires a little early would find nothing to do.
_TIMER_SLACK_S = 0.002

_SHUTTING_DOWN = Deferred(nack_status=503, cause="shutting_down")
_NO_TIME_LEFT = Deferred(nack_status=503, cause="no_time_left")


class Batcher:
    """One pixel's way to X: what waits, and what is in flight."""

    def __init__(
        self,
        *,
        pixel_id: str,
        max_in_flight: int,
        client: XClient,
        limiter: RateLimiter,
        pause: Pause,
        size: BatchSize,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        self._pixel_id = pixel_id
        self._max_in_flight = max_in_flight
        self._client = client
        self._limiter = limiter
        self._pause = pause
        self._size = size
        self._ledger = ledger
        self._clock = clock
        self._fresh = WaitingQueue()
        self._suspect = WaitingQueue()
        self._open: dict[int, Waiting] = {}
        self._in_flight: set[Flight] = set()
        self._last_start = -math.inf
        self._last_was_suspect = False
        self._stopping = False
        self._pump_scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, conversions: Iterable[Waiting]) -> None:
        """Queue what is not in the ledger. A message for many pixels hands over the conversions of each together."""
        now = self._clock()
        for waiting in conversions:
            waiting.key = self._ledger.digest(*waiting.conversion.identity)
            if self._ledger.has(waiting.key, now):
                waiting.end(AlreadyDelivered())
            elif self._stopping:
                waiting.end(_SHUTTING_DOWN)
            elif now > waiting.latest_start:
                waiting.end(_NO_TIME_LEFT)
            else:
                self._queue(waiting)
        self._wake()

    def _wake(self) -> None:
        """See what may be sent, once this turn of the event loop is over."""
        # Through the loop: deliveries whose bytes are already here are read first and share the request.
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def stop(self) -> None:
        """Nack everything that is not in a request to X with 503 and start nothing more; requests in flight go on."""
        self._stopping = True
        on_wire = {waiting.key for flight in self._in_flight if flight.window.on_wire for waiting in flight.in_request}
        self._settle([waiting for waiting in self._open.values() if waiting.key not in on_wire], _SHUTTING_DOWN)
        self._wake()

    def _queue(self, waiting: Waiting) -> None:
        first = self._open.setdefault(waiting.key, waiting)
        if first is not waiting:
            if first.duplicates is None:
                first.duplicates = []
            first.duplicates.append(waiting)
            return
        (self._suspect if waiting.suspect else self._fresh).add(waiting)

    def _pump(self) -> None:
        self._pump_scheduled = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        self._defer_hopeless(now)
        while self._may_open_another() and (room := self._limiter.allowance(now)):
            limit = min(room, self._size.conversions, self._pause.probe_size or room)
            # One small batch goes beside the fresh ones, however many there are, or it would never be sent.
            if self._suspect and self._suspects_turn():
                self._launch(self._suspect.take(min(SUSPECT_BATCH, limit), self._size.bytes_at(now)), is_suspect=True)
            elif self._fresh and self._fresh_may_open(now):
                self._launch(self._fresh.take(limit, self._size.bytes_at(now)), is_suspect=False)
            else:
                break
        if not (self._in_flight or self._fresh or self._suspect):
            self._size.idle()
        if self._fresh or self._suspect:
            self._timer = asyncio.get_running_loop().call_later(self._next_wake_s(now), self._pump)

    def _suspects_turn(self) -> bool:
        """Tell whether a small batch may start: one slot stays for fresh ones; of a single slot they take turns."""
        if self._max_in_flight == 1:
            return not self._fresh or not self._last_was_suspect
        return self._suspects_in_flight < (1 if self._fresh else self._max_in_flight - 1)

    @property
    def _suspects_in_flight(self) -> int:
        return sum(flight.is_suspect for flight in self._in_flight)

    def _defer_hopeless(self, now: float) -> None:
        """Defer at once what cannot be sent in its time: where a pause, or the spent budget, ends only after it."""
        next_start, outcome = now, _NO_TIME_LEFT
        if (pause_ends_at := self._pause.ends_at(now)) > next_start:
            next_start, outcome = pause_ends_at, self._pause.reason
        if (capacity_at := self._limiter.next_capacity_at(now)) > next_start:
            next_start, outcome = capacity_at, Deferred(nack_status=429, cause="rate_budget_spent")
        if self._stopping:
            next_start, outcome = math.inf, _SHUTTING_DOWN
        for queue in (self._fresh, self._suspect):
            self._settle(queue.take_hopeless(next_start), outcome)

    def _may_open_another(self) -> bool:
        return len(self._in_flight) < (1 if self._pause.probing else self._max_in_flight) and self._may_start()

    def _may_start(self) -> bool:
        now = self._clock()
        return not self._stopping and self._pause.ends_at(now) <= now

    def _fresh_may_open(self, now: float) -> bool:
        return (
            len(self._in_flight) == self._suspects_in_flight
            or len(self._fresh) * SHARE_TO_OPEN >= self._size.conversions
            or now - self._last_start >= PATIENCE_S
        )

    def _next_wake_s(self, now: float) -> float:
        """Seconds until something can change by itself; anything else wakes the batcher when it happens."""
        moments = [
            self._fresh.earliest,
            self._suspect.earliest,
            self._pause.ends_at(now),
            self._limiter.next_capacity_at(now),
            self._last_start + PATIENCE_S,
        ]
        return min((moment - now for moment in moments if moment > now), default=PATIENCE_S) + _TIMER_SLACK_S

    def _launch(self, batch: list[Waiting], *, is_suspect: bool) -> None:
        now = self._clock()
        self._last_was_suspect = is_suspect
        if not is_suspect:
            self._last_start = now
        # Reserved here and not when the task runs: the next turn of the pump must find the budget gone.
        flight = Flight(batch, is_suspect, self._limiter.reserve(now, len(batch)), SendWindow(now, self._may_start))
        self._in_flight.add(flight)
        flight.task = asyncio.create_task(self._run(flight))

    async def _run(self, flight: Flight) -> None:
        unsettled = set(flight.batch)
        try:
            async for settled, outcome in settle_batch(flight.batch, partial(self._send, flight), self._size):
                self._settle(settled, outcome)
                unsettled.difference_update(settled)
        except Exception as error:  # noqa: BLE001 - a bug here must not leave deliveries hanging
            logs.emit("ERROR", "batcher.crashed", error, pixel_id=self._pixel_id)
            self._settle(unsettled, Deferred(nack_status=503, cause="internal_error"))
            unsettled.clear()
        finally:
            self._in_flight.discard(flight)
            if unsettled:
                queue = self._suspect if flight.is_suspect else self._fresh
                queue.put_back([waiting for waiting in flight.batch if waiting in unsettled])
            self._wake()

    async def _send(self, flight: Flight, batch: Sequence[Waiting]) -> BatchAnswer | None:
        reservation, flight.reservation = flight.reservation, None
        if reservation is None:
            if not self._may_start():
                return None
            reservation = self._limiter.reserve(self._clock(), len(batch))
            if reservation is None:
                return None
        flight.in_request = batch
        flight.window = SendWindow(min(waiting.latest_start for waiting in batch), self._may_start)
        return await self._client.send([waiting.conversion for waiting in batch], reservation, flight.window)

    def _settle(self, conversions: Collection[Waiting], outcome: Outcome) -> None:
        """Record deliveries in the ledger, tell each its outcome, and send the duplicates that this leaves."""
        if isinstance(outcome, Delivered):
            now = self._clock()
            for waiting in conversions:
                # Also when nobody waits any more: what X has is not sent again.
                self._ledger.add(waiting.key, now)
        for waiting in conversions:
            if self._open.get(waiting.key) is waiting:
                del self._open[waiting.key]
            for duplicate in waiting.end(outcome):
                self._queue(duplicate)
                self._wake()
