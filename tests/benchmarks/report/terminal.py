"""The table: with colours and progress on a terminal, plain lines in a pipe."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tests.benchmarks.results import Result, Table, Verdict

if TYPE_CHECKING:
    from rich.status import Status

__all__ = ["Terminal"]

_COLOURS: dict[Verdict, str] = {"met": "green", "missed": "red", "none": "default"}
_WORDS: dict[Verdict, str] = {"met": "met", "missed": "missed", "none": ""}


class Terminal:
    """Shows a run. In a pipe each row is written when it is there, its cells separated by two spaces or more."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._title = ""

    def say(self, text: str) -> None:
        """Show what happens now, where somebody looks on."""
        if self._status:
            self._status.update(f"{self._title}: {text}")

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def measuring(self, title: str) -> Iterator[None]:
        """Show that a row is being measured."""
        self._title = title
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(title) as self._status:
            yield
        self._status = None

    def found(self, results: Sequence[Result]) -> None:
        """Write rows as soon as they are measured; on a terminal the table at the end shows them again."""
        for result in results:
            verdict = _WORDS[result.verdict]
            cells = [result.what, result.goal and f"goal {result.goal}", result.measured, result.ratio, verdict]
            text = "  ".join(cell for cell in cells if cell)
            self._console.print(text, style=_COLOURS[result.verdict], markup=False, highlight=False, soft_wrap=True)

    def details(self, tables: Sequence[Table]) -> None:
        """Write tables of details."""
        for table in tables:
            self.note("")
            self.note(table.title)
            for line in _lines(table):
                self.note(f"  {line}")
            if table.note:
                self.note(f"  {table.note}")

    def summary(self, results: Sequence[Result]) -> None:
        """Draw the table, where it is a terminal; in a pipe its lines are there already."""
        if not self._console.is_terminal:
            return
        shown = RichTable("what", "goal", "measured", "ratio", "", show_lines=False, title="make bench")
        for result in results:
            colour = _COLOURS[result.verdict]
            shown.add_row(
                Text(result.what),
                Text(result.goal),
                Text(result.measured, colour),
                Text(result.ratio, colour),
                Text(_WORDS[result.verdict], f"bold {colour}"),
            )
        self._console.print(shown)


def _lines(table: Table) -> list[str]:
    cells = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]).rstrip()
