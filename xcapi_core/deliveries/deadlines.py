"""Time limits of many waits that are equally long, kept with one timer for all of them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

__all__ = ["Deadlines"]

_Wait = TypeVar("_Wait")


class Deadlines(Generic[_Wait]):
    """Ends waits whose time is up. All are equally long, so the one that began first is due first.

    A timer each, set and cancelled thousands of times a second for what hardly ever happens, would cost as much as
    reading the delivery.
    """

    def __init__(self, end: Callable[[_Wait], None], clock: Callable[[], float]) -> None:
        """`end` is called with a wait whose time is up; it is watched no longer then."""
        self._end = end
        self._clock = clock
        self._open: dict[_Wait, float] = {}  # in the order in which they began
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> Collection[_Wait]:
        """The waits that are watched."""
        return tuple(self._open)

    def watch(self, wait: _Wait, deadline: float) -> None:
        """End this wait at its deadline, unless it is `forget`-ed before."""
        self._open[wait] = deadline
        if self._timer is None:
            self._set_timer(deadline)

    def forget(self, wait: _Wait) -> None:
        """Stop watching: the wait is over."""
        self._open.pop(wait, None)

    def _set_timer(self, deadline: float) -> None:
        delay_s = max(0.0, deadline - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        now = self._clock()
        for wait, deadline in tuple(self._open.items()):
            if deadline > now:
                break
            self.forget(wait)
            self._end(wait)
        self._timer = None
        if self._open:
            self._set_timer(next(iter(self._open.values())))
