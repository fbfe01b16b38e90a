"""A sampler of CPU time: which module works, a thousand times a second of computing.

cProfile would count each call and make small functions look dear; this one looks at the stack when the process has used
another millisecond of CPU, so that what is measured runs as it always does.
"""

import asyncio
import json
import os
import signal
import sysconfig
from collections import Counter
from pathlib import Path
from types import FrameType

__all__ = ["Sampler"]

_EVERY_S = 0.001
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + os.sep
_ASYNCIO = str(Path(asyncio.__file__).parent) + os.sep
_SITE = f"{os.sep}site-packages{os.sep}"


class Sampler:
    """Counts samples by the place that used the time, in the thread that runs signal handlers: the main one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        self._running = False

    def start(self) -> None:
        """Begin, if it has not begun."""
        if not self._running:
            self._running = True
            signal.signal(signal.SIGPROF, self._sample)
            signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def write(self, path: str) -> None:
        """Stop, and write the counts as a JSON object."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._running = False
        Path(path).write_text(json.dumps(self._counts), encoding="utf-8")
        self._counts.clear()

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        # The standard library works for whoever called it: json.dumps in a log line is the log line's time.
        while frame is not None:
            name = self._name(frame.f_code.co_filename)
            if name:
                self._counts[f"{name}:{frame.f_code.co_qualname}"] += 1
                return
            frame = frame.f_back
        self._counts["other:other"] += 1

    def _name(self, path: str) -> str:
        """Return the module that a file is, "" for one of the standard library that works for its caller."""
        if path not in self._names:
            self._names[path] = _module_of(path)
        return self._names[path]


def _module_of(path: str) -> str:
    if _SITE in path:
        return path.rpartition(_SITE)[2].partition(os.sep)[0].removesuffix(".py")
    if path.startswith(_ASYNCIO):
        return "asyncio"
    if path.startswith((_STANDARD_LIBRARY, "<")):
        return ""
    _, found, rest = path.rpartition(f"{os.sep}xcapi_core{os.sep}")
    if found:
        return f"xcapi_core.{rest.removesuffix('.py').replace(os.sep, '.')}"
    return Path(path).stem
