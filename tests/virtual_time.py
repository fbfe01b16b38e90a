"""An event loop without waiting: where nothing can run, its clock jumps to the next timer.

So a pause of 40 s takes a millisecond, how long it took can be asserted to the second, and what would wait for ever is
reported at once.
"""

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["Gone", "Hanging", "VirtualLoop", "VirtualProcess", "pytest_asyncio_loop_factories"]

_Result = TypeVar("_Result")
_Handle = TypeVar("_Handle", bound=asyncio.Handle)
_Arguments = TypeVarTuple("_Arguments")


class Hanging(AssertionError):  # noqa: N818 - a finding
    """What is awaited waits for something that can never happen."""


class Gone(Exception):  # noqa: N818 - no mistake
    """A process that was killed asks for something, in the clearing up after a run."""


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
        self.processes: list[VirtualProcess] = []
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

    def call_soon(
        self, callback: Callable[[*_Arguments], object], *args: *_Arguments, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run this in the next turn; a process's that is suspended, once it goes on."""
        return _of_process(super().call_soon, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run this at that time; a process's that is suspended then, once it goes on."""
        return _of_process(partial(super().call_at, when), callback, args, context)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's
        """Do nothing: there are no threads to wait for."""

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run to the end, with everything that was started on the way or is due right after."""
        self.unhandled.clear()
        try:
            return self.run_until_complete(coroutine)
        finally:
            self._clear_up()

    def _clear_up(self) -> None:
        while leftover := asyncio.all_tasks(self):
            for task in leftover:
                task.cancel()
            for process in self.processes:
                process.end()
            self.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        if self.unhandled:
            raise AssertionError(f"an exception that nobody took: {self.unhandled[0]}")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give each test a virtual loop of its own: pytest-asyncio's hook, for the conftest.py of a folder to import."""

    def loop() -> VirtualLoop:
        loop = VirtualLoop()
        loop.set_exception_handler(None)  # asyncio's log, which the whole suite watches
        return loop

    return {"virtual": loop}


_PROCESS: contextvars.ContextVar["VirtualProcess | None"] = contextvars.ContextVar("process", default=None)


class VirtualProcess:
    """A process on the loop: all that is `start`-ed in it halts with it, as by SIGSTOP, or ends, as by SIGKILL.

    What it asks of others has to go `outside`: that goes on without it.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._outside = contextvars.copy_context()
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)
        self._held: list[tuple[Callable[[], None], contextvars.Context]] = []
        self.is_running = True
        self.killed: asyncio.Future[Any] = loop.create_future()
        loop.processes.append(self)

    def start(self, coroutine: Coroutine[Any, Any, _Result]) -> "asyncio.Task[_Result]":
        """Run something in this process."""
        return self._loop.create_task(coroutine, context=self._context.copy())

    def outside(self, coroutine: Coroutine[Any, Any, _Result]) -> "asyncio.Task[_Result]":
        """Let another machine do this: it goes on, whatever becomes of this process, which may not see the result."""
        if self.killed.done():
            coroutine.close()
            raise Gone
        return self._loop.create_task(coroutine, context=self._outside.copy())

    def hold(self, turn: Callable[[], None], context: contextvars.Context) -> None:
        """Keep what would run now until the process goes on."""
        self._held.append((turn, context))

    def suspend(self) -> None:
        """Halt."""
        self.is_running = False

    def resume(self) -> None:
        """Go on, with all that was due meanwhile, in its order."""
        self.is_running = True
        held, self._held = self._held, []
        for turn, context in held:
            self._loop.call_soon(turn, context=context)

    def kill(self) -> None:
        """End, with nothing run any more."""
        self.suspend()
        self.killed.set_result(None)

    def end(self) -> None:
        """Let the tasks of this process, which are cancelled, take note of that."""
        if not self.killed.done():
            self.killed.set_result(None)
        self.resume()


def _of_process(
    schedule: Callable[..., _Handle],
    callback: Callable[..., object],
    args: tuple[Any, ...],
    context: contextvars.Context | None,
) -> _Handle:
    context = context or contextvars.copy_context()
    process = context.get(_PROCESS)
    if process is None:
        return schedule(callback, *args, context=context)

    def turn() -> None:
        if not process.is_running:
            process.hold(turn, context)
        elif not handle.cancelled():  # which it may be since it was held
            callback(*args)

    handle = schedule(turn, context=context)
    return handle
