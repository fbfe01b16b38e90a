"""Rich's console, for commands that decide themselves what a reader who has gone means."""

from rich.console import Console

__all__ = ["OutputConsole"]


class OutputConsole(Console):
    """A console that lets a broken pipe be seen. Rich's own ends the process, in whichever thread it prints."""

    def on_broken_pipe(self) -> None:
        """Pass the error on; rich calls this while it is handled."""
        raise  # noqa: PLE0704
