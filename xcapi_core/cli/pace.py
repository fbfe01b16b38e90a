"""How fast something may go: so many a second, shared by all threads."""

import threading
import time

from xcapi_core.cli.stop import Stop

__all__ = ["Pace"]


class Pace:
    """Lets `rate` a second through; None lets everything through."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._next = 0.0

    @property
    def portion(self) -> int:
        """How many may go at once without a burst of more than a second; at least one."""
        return 1_000_000 if self._rate is None else max(1, int(self._rate))

    def wait(self, count: int, stop: Stop) -> bool:
        """Wait until `count` more may go; return False where the stop was told meanwhile."""
        if self._rate is None:
            return not stop.is_told
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + count / self._rate
        return not stop.wait(begin - now) if begin > now else not stop.is_told
