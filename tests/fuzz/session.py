"""One target while it is fuzzed: runs inputs, keeps what is new, notes what went wrong and goes on."""

import contextlib
import hashlib
import json
import os
import re
import signal
import time
import traceback
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.fuzz.logged import LogTap
from tests.fuzz.targets import Target

__all__ = ["Finding", "Session"]

# Of processor time, which other processes on the machine do not use up.
SLOW_S = 1.0
HANGING_S = 10.0
_REPORT_EVERY_S = 0.5
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|…[^…]*…|\d+|\{.*|\[.*|\(.*")


class _TooSlow(AssertionError):  # noqa: N818 - a finding
    """One input takes too long."""


@dataclass(slots=True)
class Finding:
    """One thing that went wrong, the shortest input that shows it, and how often it was met."""

    what: str
    data: bytes
    trace: str
    times: int = 1


@dataclass(slots=True)
class Session:
    """Runs a target's inputs one by one. Entered, it holds standard output and the clock's signal."""

    target: Target
    log: LogTap
    report: Path | None = None
    hanging_s: float = HANGING_S
    inputs: int = 0
    behaviours: set[Hashable] = field(default_factory=set)
    findings: dict[str, Finding] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _reported: float = 0.0

    def watch(self) -> None:
        """From here on an input that never ends is a finding."""
        signal.signal(signal.SIGVTALRM, self._interrupt)

    def take(self, data: bytes) -> bool:
        """Run one input; return whether it did something that none did before."""
        self.inputs += 1
        before = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, self.hanging_s)
        try:
            behaviour = self.target.run(data, self.log)
            took_s = time.process_time() - before
            assert took_s <= SLOW_S, f"one input took {took_s:.1f} s of processor time"
        except Exception as error:  # noqa: BLE001 - whatever comes is what is looked for
            self._note(error, data)
            return False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if self.report and time.monotonic() - self._reported > _REPORT_EVERY_S:
            self.write_report()
        if behaviour in self.behaviours:
            return False
        self.behaviours.add(behaviour)
        return True

    def write_report(self, *, done: bool = False) -> None:
        """Tell the parent process how far this is."""
        self._reported = time.monotonic()
        if self.report is None:
            return
        found = [
            {
                "what": finding.what,
                "data": finding.data.decode("latin-1"),
                "trace": finding.trace,
                "times": finding.times,
            }
            for finding in self.findings.values()
        ]
        facts = {"inputs": self.inputs, "behaviours": len(self.behaviours), "findings": found, "done": done}
        partial = self.report.with_suffix(".partial")
        partial.write_text(json.dumps({**facts, "seconds": self._reported - self.started}))
        os.replace(partial, self.report)  # noqa: PTH105 - atomic

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        raise _TooSlow(f"one input took more than {self.hanging_s:g} s of processor time")

    def _note(self, error: Exception, data: bytes) -> None:
        with contextlib.suppress(Exception):  # it may be the log that went wrong, and `error` says so
            self.log.lines()  # the next input starts with an empty one
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"[:300]
        key = f"{type(error).__name__} {last.name} {_QUOTED.sub('', str(error))[:80]}"
        known = self.findings.get(key)
        if known is None:
            trace = "".join(traceback.format_exception(error))[-4000:]
            self.findings[key] = Finding(what, data, trace)
            return
        known.times += 1
        if len(data) < len(known.data):
            known.data = data


def finding_name(target: str, data: bytes) -> str:
    """Return a file name for the input of a finding."""
    return f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.json"
