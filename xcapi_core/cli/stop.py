"""How a command that runs until it is told to stop hears of that."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

__all__ = ["INTERRUPTED", "Stop", "stopping"]

# The exit code after Ctrl-C: 128 + SIGINT, as shells have it.
INTERRUPTED = 130


class Stop:
    """Tells the main thread to stop, from any thread or signal, any number of times.

    Not an Event: that takes a lock to be set, and a second signal in the middle of the first would wait for it forever.
    """

    def __init__(self) -> None:
        self._is_told = False
        self._bell: SimpleQueue[None] = SimpleQueue()  # its put() may interrupt itself

    @property
    def is_told(self) -> bool:
        """Whether it is time to stop."""
        return self._is_told

    def tell(self) -> None:
        """Say that it is time to stop."""
        self._is_told = True
        self._bell.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Wait until told, at most `timeout_s`; return whether it was."""
        if not self._is_told:
            with suppress(Empty):
                self._bell.get(timeout=timeout_s)
        return self._is_told


@contextmanager
def stopping() -> Iterator[Stop]:
    """Let Ctrl-C, SIGTERM and a closed terminal tell a Stop, so that what is on its way is ended in order.

    A second one ends it at once, but for a second hang-up: shell and system send one each.
    """
    stop = Stop()

    def tell(number: int, _frame: object) -> None:
        if stop.is_told and number != signal.SIGHUP:
            raise KeyboardInterrupt
        stop.tell()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it goes on
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
