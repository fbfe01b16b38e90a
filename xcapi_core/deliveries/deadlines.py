"""The time by which each delivery must have its answer, kept with one timer for all of them."""

import asyncio
from collections.abc import Callable

from xcapi_core.deliveries.delivery import Delivery

__all__ = ["Deadlines"]


class Deadlines:
    """Ends the waiting of deliveries whose time is up.

    All have equally long, so the one that came first is due first. A timer each, set and cancelled thousands of times a
    second for what hardly ever happens, would cost as much as reading the delivery.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: dict[Delivery, None] = {}  # in the order in which they came
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, delivery: Delivery) -> None:
        """End this delivery's waiting at its deadline, unless it is `forget`-ed before."""
        self._open[delivery] = None
        if self._timer is None:
            self._set_timer()

    def forget(self, delivery: Delivery) -> None:
        """Stop watching: the delivery has its answer."""
        self._open.pop(delivery, None)

    def end_all(self) -> None:
        """End the waiting of all deliveries now."""
        for delivery in self._open:
            delivery.end_waiting()

    def _set_timer(self) -> None:
        first = next(iter(self._open))
        delay_s = max(0.0, first.deadline - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        now = self._clock()
        for delivery in tuple(self._open):
            if delivery.deadline > now:
                break
            delivery.end_waiting()
            self.forget(delivery)
        self._timer = None
        if self._open:
            self._set_timer()
