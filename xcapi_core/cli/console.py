"""Rich's console, which leaves it to the command what a closed pipe means."""

import os
from typing import Final

from rich.console import Console
from rich.text import Text

from xcapi_core.cli.foreign_text import printable

__all__ = ["OutputConsole", "is_animated", "new_console"]

_PLAIN_WIDTH: Final = 120


class OutputConsole(Console):
    """A console that lets a broken pipe be seen. Rich's own ends the process, in whichever thread it prints."""

    def print_line(self, text: Text) -> None:
        """Print a line as long as it is; what others wrote in it does not steer the terminal."""
        text.plain = printable(text.plain)
        self.print(text, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Pass the error on; rich calls this while it is handled."""
        raise  # noqa: PLE0704


def new_console(*, stderr: bool = False) -> OutputConsole:
    """Return a console: no escape codes in a pipe, on a dumb terminal or with NO_COLOR; 120 columns in a pipe."""
    console = OutputConsole(stderr=stderr, highlight=False)
    if not console.is_terminal:
        return OutputConsole(stderr=stderr, highlight=False, color_system=None, width=_PLAIN_WIDTH)
    if console.is_dumb_terminal or os.environ.get("NO_COLOR"):
        # Rich keeps bold and dim without colours, which are escape codes too.
        return OutputConsole(stderr=stderr, highlight=False, color_system=None)
    return console


def is_animated(console: Console) -> bool:
    """Tell whether a bar may move: somebody watches a terminal that can go back to a line's start."""
    return console.is_terminal and not console.is_dumb_terminal
