"""Ends the process when its event loop hangs."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable

from xcapi_core import logs

__all__ = ["Watchdog"]

TICK_S = 1.0
# No delivery takes longer: a loop that did nothing for so long hangs.
MAX_TICKS = 60
_EXIT_CODE = 70  # sysexits.h: an internal software error


class Watchdog:
    """Counts its own ticks without a heartbeat of the event loop; at 60 the process ends, and the server makes another.

    Ticks, not the time of day: Cloud Run takes the CPU away between requests, and an instance that wakes after an hour
    has merely slept. What watches by wall-clock time, as the server's own time-out does, ends it then, with all that it
    knows.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        sleep: Callable[[float], None] = time.sleep,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._loop = loop
        self._sleep = sleep
        self._end = end
        self._ticks = 0
        self._asked = False
        self._loop_thread = threading.get_ident()

    def start(self) -> None:
        """Begin to watch, in a thread that ends with the process."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while not self._loop.is_closed():
            self._sleep(TICK_S)
            if not self._asked:
                self._ticks = 0
                self._asked = True
                try:
                    self._loop.call_soon_threadsafe(self._beat)
                except RuntimeError:  # closed meanwhile
                    return
                continue
            self._ticks += 1
            if self._ticks >= MAX_TICKS:
                logs.emit("CRITICAL", "event_loop.crashed", ticks=self._ticks, at=self._where())
                self._end(_EXIT_CODE)
                return

    def _beat(self) -> None:
        self._asked = False

    def _where(self) -> str:
        """Name the line that the event loop hangs at: code, never a value."""
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - documented, underscore and all
        return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""  # noqa: PTH119
