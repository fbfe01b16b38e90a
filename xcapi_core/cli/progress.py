"""How far a command is: a bar where somebody watches, a plain line now and then in a pipe."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from xcapi_core.cli.console import is_animated, new_console

__all__ = ["Progressing"]

_LINE_EVERY_S: Final = 10.0


class Progressing:
    """Shows what `describe` says, on standard error; `total` is None where nobody knows how many there are."""

    def __init__(self, describe: Callable[[], tuple[int, str]], total: int | None = None) -> None:
        console = new_console(stderr=True)
        self._describe = describe
        self._is_animated = is_animated(console)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._is_animated,
        )
        self._task = self._progress.add_task("", total=total)
        self._last_line = time.monotonic()

    def tick(self) -> None:
        """Show how far it is by now."""
        done, text = self._describe()
        if self._is_animated:
            self._progress.update(self._task, completed=done, description=text)
        elif time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            click.echo(text, err=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
