"""Who watches the demo: somebody at a terminal sees bars, a pipe gets lines, a script nothing until the end."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from xcapi_core.cli.demo.performance import ActReport, Audience
from xcapi_core.cli.demo.planned import Act
from xcapi_core.sandbox.services.function_venv import InstallStep

__all__ = ["LinesOutput", "Output", "SilentOutput", "TerminalOutput", "answers_text"]

_BAR_WIDTH = 12  # leaves room for title and answers on 80 columns


class Output(Audience, Protocol):
    """An audience that also sees the stage being built. A context manager around the whole run."""

    def step(self, component: str) -> None:
        """Hear which component is being started."""

    def install(self, step: InstallStep) -> None:
        """Hear how far the function's environment is."""

    def begins(self, acts: int, events: int) -> None:
        """Hear that everything runs, and what is coming."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing."""


class SilentOutput:
    """Shows nothing."""

    def step(self, component: str) -> None:
        """Show nothing."""

    def install(self, step: InstallStep) -> None:
        """Show nothing."""

    def begins(self, acts: int, events: int) -> None:
        """Show nothing."""

    def act_begins(self, act: Act) -> None:
        """Show nothing."""

    def settled(self, act: Act, count: int) -> None:
        """Show nothing."""

    def act_ends(self, report: ActReport) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to undo."""


class LinesOutput(SilentOutput):
    """A line for each thing that happened: for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._acts = 0
        self._played = 0
        self._installs = False

    def step(self, component: str) -> None:
        """Print one line."""
        self._print(f"Starting {component}")

    def install(self, step: InstallStep) -> None:  # noqa: ARG002 - a log needs one line, not fifty
        """Print one line, the first time."""
        if not self._installs:
            self._installs = True
            self._print("Installing requirements.txt for the function, once")

    def begins(self, acts: int, events: int) -> None:
        """Print what is coming."""
        self._acts = acts
        self._print(f"Publishing {events:,} events in {acts} acts")

    def act_ends(self, report: ActReport) -> None:
        """Print how the act went."""
        self._played += 1
        self._print(
            f"{self._played:2}/{self._acts} {report.title}: {report.settled} of {report.events} settled, "
            f"X answered {answers_text(report.answers)}, {report.seconds:.1f} s"
        )

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()


class TerminalOutput(SilentOutput):
    """A bar for each act, and one for all events."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._acts = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(_BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
        )
        self._total = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(_BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._live = Live(Group(self._acts, self._total), console=console, refresh_per_second=10)
        self._status = console.status("Starting")
        self._task: TaskID | None = None
        self._all: TaskID | None = None
        self._settled_before = 0

    def __enter__(self) -> Self:
        """Begin with the set-up's line."""
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the bars standing as they are."""
        self._status.stop()
        self._live.stop()

    def step(self, component: str) -> None:
        """Show it in the set-up's line."""
        self._status.update(f"Starting {component}")

    def install(self, step: InstallStep) -> None:
        """Show it in the set-up's line."""
        counted = f"{step.done} of {step.total}: " if step.total else ""
        self._status.update(f"Installing requirements.txt for the function, once: {counted}{step.doing}")

    def begins(self, acts: int, events: int) -> None:
        """Put the bars in place of the set-up's line."""
        self._status.stop()
        self._all = self._total.add_task(f"{acts} acts, events settled", total=events)
        self._live.start()

    def act_begins(self, act: Act) -> None:
        """Add the act's bar."""
        self._task = self._acts.add_task(act.title, total=len(act.events), note="")

    def settled(self, act: Act, count: int) -> None:  # noqa: ARG002 - it is always the act that began last
        """Move the bars."""
        if self._task is not None and self._all is not None:
            self._acts.update(self._task, completed=count)
            self._total.update(self._all, completed=self._settled_before + count)

    def act_ends(self, report: ActReport) -> None:
        """Write X's answers beside the act's bar."""
        self._settled_before += report.settled
        if self._task is not None:
            self._acts.update(self._task, note=f"{report.seconds:.1f} s  {answers_text(report.answers)}")
            self._acts.stop_task(self._task)


def answers_text(answers: Mapping[int, int]) -> str:
    """Write X's answers in the order in which each came first: "400 ×1, 200 ×2"."""
    return ", ".join(f"{status or 'nothing'} ×{count}" for status, count in answers.items()) or "nothing at all"
