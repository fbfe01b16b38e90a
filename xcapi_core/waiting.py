"""Conversions that wait for their request, and which of them wait in vain."""

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Deferred, Outcome
from xcapi_core.pacing import Pacer

__all__ = ["Waiting", "WaitingQueue"]

# X names no limit in bytes; 500 usual conversions are 300 kB, and a front end's usual limit is 4 MB and more.
MAX_BODY_BYTES = 2_000_000


@dataclass(slots=True, eq=False)
class Waiting:
    """One conversion on its way; `outcome` is set once, whatever happens.

    `twins` have the same pixel, tag and conversion id: X would count them as one, so only the first is sent.
    """

    conversion: Conversion
    key: int
    latest_start: float
    outcome: asyncio.Future[Outcome]
    twins: "list[Waiting]" = field(default_factory=list)


class WaitingQueue:
    """First come, first served; `earliest` is a time before which nobody's time runs out."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
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
        return batch

    def take_all(self) -> list[Waiting]:
        """Take everybody."""
        everybody = list(self._waiting)
        self._waiting.clear()
        return everybody

    def take_hopeless(self, now: float, pacer: Pacer) -> list[tuple[Waiting, Deferred]]:
        """Take those who cannot be sent in their time, each with what it is told; the others can wait.

        Costs nothing while the gate is open, the budget holds for all and nobody's time runs out.
        """
        opens_at = pacer.opens_at(now)
        allowance = pacer.allowance(now)
        if opens_at <= now and allowance >= len(self._waiting) and self.earliest >= now:
            return []
        hopeful: deque[Waiting] = deque()
        hopeless: list[tuple[Waiting, Deferred]] = []
        capacities: dict[float, int] = {}
        for waiting in self._waiting:
            until = waiting.latest_start
            if until not in capacities:
                capacities[until] = pacer.capacity_until(now, until)
            if until < opens_at and opens_at > now:
                hopeless.append((waiting, pacer.closed_as))
            elif len(hopeful) >= capacities[until] or (until < now and not allowance):
                hopeless.append((waiting, Deferred(nack_status=429, cause="rate_budget_spent")))
            elif until < now:
                hopeless.append((waiting, Deferred(nack_status=503, cause="no_time_left")))
            else:
                hopeful.append(waiting)
        self._waiting = hopeful
        self.earliest = min(self._latest_starts(), default=math.inf)
        return hopeless

    def _latest_starts(self) -> Iterator[float]:
        return (waiting.latest_start for waiting in self._waiting)
