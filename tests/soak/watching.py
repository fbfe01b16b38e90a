"""Who watches a soak: a terminal sees a bar, a pipe gets lines, a script nothing."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xcapi_core.sandbox.services.function_venv import InstallStep

__all__ = ["LinesWatcher", "TerminalWatcher", "Watcher"]


class Watcher:
    """Shows nothing. A context manager around the whole run."""

    def install(self, step: InstallStep) -> None:
        """Hear how far the function's environment is."""

    def begins(self, total: int, what: str) -> None:
        """Hear that it begins, and how much of what there is."""

    def says(self, what: str) -> None:
        """Hear what happens now."""

    def progress(self, done: int) -> None:
        """Hear how much is done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing."""


class LinesWatcher(Watcher):
    """A line for each incident and each tenth: for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()
        self._total = 0
        self._what = ""
        self._tenths = 0
        self._installs = False

    def install(self, step: InstallStep) -> None:  # noqa: ARG002 - a log needs one line, not fifty
        """Print one line, the first time."""
        if not self._installs:
            self._installs = True
            self._print("installing requirements.txt for the function, once")

    def begins(self, total: int, what: str) -> None:
        """Print what is coming."""
        self._begun, self._total, self._what, self._tenths = time.monotonic(), total, what, 0
        self._print(f"{total:,} {what} to come")

    def says(self, what: str) -> None:
        """Print it."""
        self._print(what)

    def progress(self, done: int) -> None:
        """Print each tenth."""
        tenths = 10 * done // max(1, self._total)
        if tenths > self._tenths:
            self._tenths = tenths
            self._print(f"{done:,} of {self._total:,} {self._what}")

    def _print(self, line: str) -> None:
        seconds = time.monotonic() - self._begun
        self._console.print(f"{seconds:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()


class TerminalWatcher(Watcher):
    """A bar, with the incident beside it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
        )
        self._task = self._progress.add_task("starting", total=None, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the bar standing."""
        self._progress.stop()

    def install(self, step: InstallStep) -> None:
        """Show it beside the bar."""
        self.says(f"installing requirements.txt, once: {step.doing}")

    def begins(self, total: int, what: str) -> None:
        """Start the bar afresh."""
        self._progress.reset(self._task, total=total, description=what, note="")

    def says(self, what: str) -> None:
        """Show it beside the bar."""
        self._progress.update(self._task, note=what)

    def progress(self, done: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done)
