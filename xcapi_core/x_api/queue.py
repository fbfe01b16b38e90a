"""Conversions that wait for their request, and those that are on their way."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import AlreadyDelivered, DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.x_api.client import SendWindow
from xcapi_core.x_api.rate_limiter import Reservation

__all__ = ["Flight", "Sender", "Waiting", "WaitingQueue"]


class Sender(Protocol):
    """Has conversions sent."""

    def take_outcome(self, waiting: "Waiting", outcome: Outcome) -> None:
        """Hear what became of one. After a stop it may be told twice; the first time counts."""
        ...


class Waiting(msgspec.Struct, eq=False):
    """One conversion on its way; its sender always hears an outcome, by about `latest_start` plus one request.

    `latest_start` is on the batcher's clock: no request that carries the conversion starts after it. `suspect` is what
    an unfinished bisection left: it goes in a small batch, or in one of its own where it is to go `alone`. `key` is the
    ledger's; `duplicates` have the same: X would count them as one, so only the first is sent.
    """

    conversion: Conversion
    latest_start: float
    sender: Sender
    suspect: bool = False
    alone: bool = False
    key: int = 0
    duplicates: "list[Waiting] | None" = None

    def end(self, outcome: Outcome) -> "Sequence[Waiting]":
        """Tell the outcome, also of the duplicates that share it; return those that have to be sent themselves."""
        if self.suspect and isinstance(outcome, Deferred):
            outcome = msgspec.structs.replace(outcome, suspect=True)
        self.sender.take_outcome(self, outcome)
        if not self.duplicates:
            return ()
        unlike = []
        for duplicate in self.duplicates:
            if isinstance(outcome, Delivered):
                duplicate.end(AlreadyDelivered())
            elif _holds_for_duplicates(outcome) or duplicate.conversion.wire == self.conversion.wire:
                duplicate.end(outcome)
            else:
                # Refused, but for something that this one may not share.
                unlike.append(duplicate)
        self.duplicates = None
        return unlike


class Flight(msgspec.Struct, eq=False):
    """A batch on its way, in one request after the other: `in_request` are those that the present one carries.

    `reservation` is the first request's share of the budget. The event loop keeps no task that nobody else keeps.
    """

    batch: list[Waiting]
    is_suspect: bool
    reservation: Reservation | None
    window: SendWindow
    in_request: Sequence[Waiting] = ()
    task: asyncio.Task[None] | None = None


class WaitingQueue:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        # No conversion's time runs out before this. It may be too early, never too late: it is worked out anew only
        # where the whole queue is looked at anyway.
        self.earliest = math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Queue one at the end."""
        self._waiting.append(waiting)
        self.earliest = min(self.earliest, waiting.latest_start)

    def put_back(self, batch: list[Waiting]) -> None:
        """Queue a batch at the front, where it was taken from."""
        self._waiting.extendleft(reversed(batch))
        self.earliest = min([self.earliest, *(waiting.latest_start for waiting in batch)])

    def take(self, limit: int, max_bytes: int) -> list[Waiting]:
        """Take the next batch: at most `limit` conversions, and `max_bytes` where it is more than one."""
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < limit:
            first = self._waiting[0]
            size += len(first.conversion.wire)
            if batch and (size > max_bytes or first.alone or batch[-1].alone):
                break
            batch.append(self._waiting.popleft())
        return batch

    def take_all(self) -> list[Waiting]:
        """Take everybody."""
        everybody = list(self._waiting)
        self._waiting.clear()
        self.earliest = math.inf
        return everybody

    def take_hopeless(self, next_start: float) -> list[Waiting]:
        """Take those whose time is up before a request can start; costs nothing while there are none."""
        if self.earliest >= next_start:
            return []
        everybody = self.take_all()
        for waiting in everybody:
            if waiting.latest_start >= next_start:
                self.add(waiting)
        return [waiting for waiting in everybody if waiting.latest_start < next_start]


def _holds_for_duplicates(outcome: Outcome) -> bool:
    """Tell whether another conversion with the same key ends alike: it must not be sent after an unclear answer."""
    unclear = isinstance(outcome, Rejected) and outcome.reason is DeadLetterReason.UNCONFIRMED
    return unclear or isinstance(outcome, Deferred)
