"""Child processes in groups of their own: their output is kept, and none of them outlives what started it."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = ["ChildProcess", "leaving_on_signals", "runtime_folder"]

_POLL_INTERVAL_S = 0.02
# They come at once, but for a busy machine, and for somebody else who holds the pipe.
_LAST_LINES_S = 10.0
# A shell that becomes the program, and leaves a watcher in its group. Its standard input ends with whoever started it,
# even by SIGKILL: then the watcher kills the group, itself included. Double parentheses: it is nobody's child.
_WATCHED = """exec 3<&0 </dev/null
( (read -r _ <&3; kill -9 0) >/dev/null 2>&1 & )
exec "$@" 3<&-"""


class ChildProcess:
    """One started program. Its stdout and stderr are read as they come, so that it never blocks on a full pipe."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Start `command` with exactly `environment`; raise OSError when it cannot be started."""
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        self._lines: list[str] = []
        self._on_line = on_line
        # A session of its own: Ctrl-C on the terminal reaches only us, and we stop the children in order.
        self._process = subprocess.Popen(  # noqa: S603 - the callers' commands are constants, no shell is involved
            ["/bin/sh", "-c", _WATCHED, "sh", *command],
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {command[0]}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.poll()

    @property
    def lines(self) -> list[str]:
        """Every line of output so far, stdout and stderr in the order of their arrival."""
        return list(self._lines)

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float) -> bool:
        """Poll `ready` until it holds; give False when the process ended or the time is over before that."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.exit_code is not None:
                self._reader.join(_LAST_LINES_S)
                return False
            if ready():
                return True
            time.sleep(_POLL_INTERVAL_S)
        return False

    def wait(self) -> int:
        """Wait for the end, however long it takes, and return the exit code."""
        exit_code = self._process.wait()
        self._kill_group()  # the watcher
        self._reader.join(_LAST_LINES_S)
        return exit_code

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its children: as a container's runtime does."""
        self._process.send_signal(signal_number)

    def stop(self, signal_number: signal.Signals = signal.SIGTERM, *, grace_s: float = 12.0) -> int:
        """Signal the process, wait up to `grace_s`, then kill what is left of its group. Return the exit code."""
        try:
            if self.exit_code is None:
                self.send(signal_number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=grace_s)
        finally:  # a second Ctrl-C ends the waiting, and still nothing stays behind
            self._kill_group()
        return self.wait()

    def stop_group(self, *, grace_s: float = 5.0) -> int:
        """Signal the whole group: for launchers that do not pass a signal on to their child."""
        try:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=grace_s)
        finally:
            self._kill_group()
        return self.wait()

    def kill(self) -> int:
        """Kill the whole group at once: what an out-of-memory kill or a lost machine does."""
        self._kill_group()
        return self.wait()

    def _kill_group(self) -> None:
        # macOS says PermissionError where only a zombie is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:  # pragma: no cover - stdout is always a pipe here
            return
        with stream:
            for line in stream:
                text = line.rstrip("\r\n")
                self._lines.append(text)
                if self._on_line is not None:
                    self._on_line(text)


@contextmanager
def leaving_on_signals() -> Iterator[None]:
    """Unwind on a closed terminal or a supervisor's SIGTERM: nothing that was started must stay behind.

    Inside, the first of these signals raises SystemExit with 128 + its number, as shells have it. For the main thread
    only.
    """

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        # `make`, `timeout` and a closing terminal all signal a group and its members: the second must not interrupt
        # what the first began.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def runtime_folder(owner: object) -> str:
    """Make an XDG_RUNTIME_DIR for a server that `owner` starts; it goes when `owner` does.

    gunicorn puts its control socket there, which the framework cannot switch off. By itself it takes
    ~/.gunicorn/gunicorn.ctl, also from a gunicorn of the user's own.
    """
    folder = tempfile.mkdtemp(prefix="xcapi-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder
