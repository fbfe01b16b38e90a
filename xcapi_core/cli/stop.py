"""How a command that runs until it is told to stop hears of that."""

from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Stop"]


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
