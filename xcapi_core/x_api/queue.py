"""Conversions that wait for their request, and which of them wait in vain."""

import asyncio
import math
from collections import deque

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Deferred, Outcome
from xcapi_core.x_api.rate_limiter import Pacer

__all__ = ["Waiting", "WaitingQueue"]

# X names no limit in bytes; 500 usual conversions are 300 kB, and a front end's usual limit is 4 MB and more.
MAX_BODY_BYTES = 2_000_000


class Waiting(msgspec.Struct, eq=False):
    """One conversion on its way; `outcome` is set once, whatever happens.

    `twins` have the same pixel, tag and conversion id: X would count them as one, so only the first is sent.
    """

    conversion: Conversion
    key: int
    latest_start: float
    outcome: asyncio.Future[Outcome]
    twins: "list[Waiting]" = msgspec.field(default_factory=list)


# So often, at least, everybody who waits is judged anew; in between, only who came since. A pass over thousands for
# each newcomer would cost more than reading them.
_JUDGE_ALL_EVERY_S = 1.0


class WaitingQueue:
    """First come, first served; `earliest` is a time before which nobody's time runs out."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._judged = 0  # so many at the front were found hopeful
        self._judge_all_at = -math.inf
        self._judged_opens_at = -math.inf
        # May be too early, never too late: it is worked out anew only when the queue is passed over anyway.
        self.earliest = math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Queue one at the end."""
        self._waiting.append(waiting)
        self.earliest = min(self.earliest, waiting.latest_start)

    def put_back(self, waiting: Waiting) -> None:
        """Queue one at the front, where it was taken from."""
        self._waiting.appendleft(waiting)
        self._judged += 1
        self.earliest = min(self.earliest, waiting.latest_start)

    def take(self, limit: int) -> list[Waiting]:
        """Take the next batch: at most `limit`, and as many as a body's size allows."""
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < limit:
            size += len(self._waiting[0].conversion.wire)
            if batch and size > MAX_BODY_BYTES:
                break
            batch.append(self._waiting.popleft())
        self._judged = max(0, self._judged - len(batch))
        return batch

    def take_all(self) -> list[Waiting]:
        """Take everybody."""
        everybody = list(self._waiting)
        self._waiting.clear()
        self._judged = 0
        return everybody

    def take_hopeless(self, now: float, pacer: Pacer) -> list[tuple[Waiting, Deferred]]:
        """Take those who cannot be sent in their time, each with what it is told; the others can wait.

        Costs nothing while even the most hurried of them can wait until the gate opens and the budget allows all.
        """
        if not self._waiting:
            return []
        opens_at = pacer.opens_at(now)
        if self.earliest >= opens_at and pacer.capacity_until(now, self.earliest) >= len(self._waiting):
            return []
        if now >= self._judge_all_at or opens_at > max(now, self._judged_opens_at) or self.earliest < now:
            self._judged = 0
            self._judge_all_at = now + _JUDGE_ALL_EVERY_S
            self._judged_opens_at = opens_at
            self.earliest = math.inf
        newcomers = [self._waiting.pop() for _ in range(len(self._waiting) - self._judged)]
        hopeless: list[tuple[Waiting, Deferred]] = []
        capacities: dict[float, int] = {}
        while newcomers:
            waiting = newcomers.pop()
            until = waiting.latest_start
            if until not in capacities:
                capacities[until] = pacer.capacity_until(now, until)
            deferred = self._verdict(waiting, now, pacer, capacities[until])
            if deferred:
                hopeless.append((waiting, deferred))
            else:
                self._waiting.append(waiting)
                self.earliest = min(self.earliest, until)
        self._judged = len(self._waiting)
        return hopeless

    def _verdict(self, waiting: Waiting, now: float, pacer: Pacer, capacity: int) -> Deferred | None:
        """Say what one is told who waits in vain behind those who were judged before it."""
        opens_at, until = pacer.opens_at(now), waiting.latest_start
        if until < opens_at and opens_at > now:
            return pacer.closed_as
        if len(self._waiting) >= capacity:
            return Deferred(nack_status=429, cause="rate_budget_spent")
        if until < now:
            return Deferred(nack_status=503, cause="no_time_left")
        return None
