"""An event loop without waiting: where nothing can run, its clock jumps to the next timer.

So a pause of 40 s takes a millisecond, how long it took can be asserted to the second, and what would wait for ever is
reported at once.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Hanging", "VirtualLoop"]

_Result = TypeVar("_Result")


class Hanging(AssertionError):  # noqa: N818 - a finding
    """What is awaited waits for something that can never happen."""


class _Selector(selectors.SelectSelector):
    """Sees no sockets: what the loop would have slept is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s = 0.0
        self.naps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Hanging("no timer is set and nothing is ready")
        self.slept_s += max(0.0, timeout)
        self.naps += timeout > 0
        return []


class _NoThreads(ThreadPoolExecutor):
    """Does at once what was meant for a thread: the loop's clock knows no time that others take."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)
        return future


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 1,000 s and is the clock to hand to what is under test."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.set_default_executor(_NoThreads())
        self.unhandled: list[str] = []
        self.set_exception_handler(lambda _, context: self.unhandled.append(str(context)))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return 1_000.0 + self._virtual.slept_s

    @property
    def naps(self) -> int:
        """How often there was nothing to do until a timer."""
        return self._virtual.naps

    def advance(self, seconds: float) -> None:
        """Let time pass while nothing runs."""
        self._virtual.slept_s += seconds

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run to the end, with everything that was started on the way or is due right after."""
        self.unhandled.clear()
        result = self.run_until_complete(coroutine)
        leftover = [task for task in asyncio.all_tasks(self) if not task.done()]
        for task in leftover:
            task.cancel()
        if leftover:
            self.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        if self.unhandled:
            raise AssertionError(f"an exception that nobody took: {self.unhandled[0]}")
        return result
