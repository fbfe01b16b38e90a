"""Finding the conversions that X refuses in a batch, without sinking their neighbours.

X rejects a batch as a whole and does not say which conversion was bad. `Bisection` proposes the next request and takes
its verdict; it does no I/O, so it can be tested against every pattern of bad ones. `settle_batch` runs one.

Where X's words name a value, its bearer falls out at once. Where they name nothing, halves are tried on a *single* path
down to one bad conversion, which is refused alone; the halves that were not tried wait and then go together, once. If
X refuses them too, they go back to their queue, in smaller batches. So one bad in 500 costs 1 + 9 + 1 + 1 requests at
most, and a bisection ends after that many, however many bad ones there are.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import DeadLetterReason, Deferred, Delivered, Outcome
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.client import BatchAnswer
from xcapi_core.x_api.errors import XError, accuse, shared_values
from xcapi_core.x_api.status_table import rejection

__all__ = ["Bisection", "settle_batch"]

_UNFINISHED = Deferred(nack_status=503, cause="bisection_unfinished")


class Bisection:
    """One refused batch, and which of its conversions X minds. Positions are indices into the refused batch."""

    def __init__(self, wires: Sequence[bytes], errors: Sequence[XError]) -> None:
        self._wires = wires
        self._refused: dict[int, tuple[XError, ...]] = {}
        self._open = set(range(len(wires)))
        # Values that X names and several share, each with who has it: one of them is sent alone.
        self._shared: list[tuple[tuple[str, str], list[int]]] = []
        # Sets that X refused as a whole: at least one of each is bad.
        self._bad_sets: list[list[int]] = []
        self._untried: set[int] = set()
        self._others_tried = False
        self._trial: list[int] = []
        # How many X refused alone, and had not named.
        self.found_unnamed = 0
        # X refused the batch and named none, or refused what was left of it as well.
        self.calls_for_smaller = self._examine(list(range(len(wires))), tuple(errors))

    @property
    def unsettled(self) -> list[int]:
        """The positions without a verdict, in order."""
        return sorted(self._open)

    @property
    def suspects(self) -> set[int]:
        """Those among whom a bad one is known to be, and not known which."""
        return self._open.intersection(position for bad in self._bad_sets for position in bad)

    def take_refused(self) -> dict[int, tuple[XError, ...]]:
        """Return the newly found bad ones, each with the errors that X gave for it, and forget them."""
        refused, self._refused = self._refused, {}
        return refused

    def next_trial(self) -> list[int]:
        """Return the positions to send next; empty where nothing more can be found in this batch."""
        self._drop_settled()
        if self._shared:
            self._trial = self._shared[-1][1][:1]
        elif self._bad_sets:
            bad = self._bad_sets[-1]
            self._trial = bad[: (len(bad) + 1) // 2]
        elif not self._others_tried:
            self._others_tried = True
            self._trial = sorted(self._untried)
        else:
            self._trial = []
        return self._trial

    def trial_settled(self) -> None:
        """Record that the trial got an outcome of its own: X took it, or did not say what it made of it."""
        self._open.difference_update(self._trial)
        if self._shared:
            # X named the value, and took a conversion that has it: what it minds is in the others.
            self._bad_sets.append(self._shared.pop()[1])

    def trial_refused(self, errors: Sequence[XError]) -> None:
        """Record that X refused the trial for one or more of its conversions."""
        words = tuple(errors)
        self.calls_for_smaller = False
        if self._shared:
            pair, members = self._shared.pop()
            self._refuse(members if pair in shared_values(words) else self._trial, words)
            self._untried.update(members)
        elif self._bad_sets:
            self._untried.update(self._bad_sets.pop())
            self._examine(self._trial, words)
        else:
            self.calls_for_smaller = self._examine(self._trial, words)

    def _examine(self, refused: list[int], errors: tuple[XError, ...]) -> bool:
        """Settle what can be settled about a refused set without a request; tell whether smaller batches are better."""
        if len(refused) == 1:
            self.found_unnamed += 1
            self._refuse(refused, errors)
            return False
        accusation = accuse(errors, [self._wires[position] for position in refused])
        for index, named in accusation.named.items():
            self._refuse([refused[index]], named)
        self._shared += [(pair, [refused[index] for index in members]) for pair, members in accusation.shared]
        names_any = bool(accusation.named or accusation.shared)
        if names_any or self._others_tried:
            self._untried.update(refused)
        else:
            self._bad_sets.append(refused)
        return self._others_tried or not names_any

    def _refuse(self, positions: Sequence[int], errors: tuple[XError, ...]) -> None:
        for position in positions:
            if position in self._open:
                self._refused[position] = errors
        self._open.difference_update(positions)

    def _drop_settled(self) -> None:
        """Remove the conversions that have a verdict from what is still to be tried."""
        shared = [
            (pair, [position for position in members if position in self._open]) for pair, members in self._shared
        ]
        self._shared = [group for group in shared if group[1]]
        bad_sets = [[position for position in bad if position in self._open] for bad in self._bad_sets]
        self._bad_sets = [bad for bad in bad_sets if bad]
        waiting = set().union(*(members for _, members in self._shared), *self._bad_sets)
        self._untried = (self._untried & self._open) - waiting


class _Carrier(Protocol):
    @property
    def conversion(self) -> Conversion: ...


_Item = TypeVar("_Item", bound=_Carrier)
_Send = Callable[[Sequence[_Item]], Awaitable[BatchAnswer | None]]


async def settle_batch(
    batch: Sequence[_Item], send: _Send[_Item], size: BatchSize
) -> AsyncIterator[tuple[Sequence[_Item], Outcome]]:
    """Send a batch to its end: yield conversions that get an outcome with it, each once.

    `send` posts one request, or returns None where none may start now, or X found it too large. Those for which nothing
    is yielded are to be sent in another batch.
    """
    answer = await send(batch)
    if answer is None:
        return
    if answer.refused_for is None or len(batch) == 1:
        yield batch, answer.outcome
        return
    bisection = Bisection([item.conversion.wire for item in batch], answer.refused_for)
    if bisection.calls_for_smaller:
        if len(batch) >= 2 * size.conversions:
            # Others were refused meanwhile: in batches of today's size this one will be cheaper.
            return
        size.refused(len(batch))
    async for settled in _bisect(batch, bisection, answer.http_status, send, size):
        yield settled


async def _bisect(
    batch: Sequence[_Item], bisection: Bisection, http_status: int, send: _Send[_Item], size: BatchSize
) -> AsyncIterator[tuple[Sequence[_Item], Outcome]]:
    requests = 1
    ended: Deferred | None = None
    while True:
        for position, errors in bisection.take_refused().items():
            yield [batch[position]], rejection(DeadLetterReason.REJECTED, http_status, errors)
        trial = bisection.next_trial()
        tried = [batch[position] for position in trial]
        answer = await send(tried) if tried else None
        if answer is None:
            break
        requests += 1
        if answer.refused_for is not None:
            http_status = answer.http_status
            bisection.trial_refused(answer.refused_for)
            if bisection.calls_for_smaller:
                size.refused(len(trial))
            continue
        if isinstance(answer.outcome, Deferred):
            ended = answer.outcome
            break
        yield tried, answer.outcome
        bisection.trial_settled()
        if not (isinstance(answer.outcome, Delivered) or answer.outcome.reason is DeadLetterReason.UNCONFIRMED):
            break
    size.found_bad(bisection.found_unnamed)
    suspects = bisection.suspects
    _log(batch[0].conversion.pixel_id, conversions=len(batch), requests=requests, suspects=len(suspects))
    unfinished = msgspec.structs.replace(ended or _UNFINISHED, suspect=True)
    yield [batch[position] for position in sorted(suspects)], unfinished
    if ended:
        # X is unwell: the others would meet the same.
        yield [batch[position] for position in bisection.unsettled if position not in suspects], ended


def _log(pixel_id: str, **counts: int) -> None:
    if counts["suspects"]:
        logs.emit("WARNING", "batch.bisection_unfinished", pixel_id=pixel_id, **counts)
    else:
        logs.emit("INFO", "batch.bisected", pixel_id=pixel_id, **counts)
