"""What `xcapi validate` prints: JSON lines for scripts, a line or two an event for people, a summary at the end."""

import json
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Protocol, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from xcapi_core.cli.validate.tally import Tally
from xcapi_core.cli.validate.unread import in_words, worth_a_look
from xcapi_core.cli.validate.verdicts import DROPPED, End, Verdict
from xcapi_core.events.drops import Drop

__all__ = ["Bar", "JsonOutput", "Output", "PeopleOutput", "remarks", "verdict_as_json"]

_STYLES: Final[dict[End, str]] = {
    "conversion": "green",
    "skipped": "cyan",
    "invalid": "bold red",
    "expired": "yellow",
    "unreadable": "bold red",
}
_PLAIN_WIDTH: Final = 120


class Output(Protocol):
    """Tells somebody of each event, and at the end how many ended where."""

    def verdict(self, verdict: Verdict) -> None:
        """Tell of one event."""

    def trouble(self, file: str, problem: str) -> None:
        """Tell of a file that could not be read to its end."""

    def summary(self, tally: Tally) -> None:
        """Tell the counts."""


class JsonOutput:
    """JSON lines: `{"file", "line", "end", …}` an event, `{"file", "problem"}` a bad file, `{"summary"}` at the end."""

    def __init__(self, *, only_bad: bool) -> None:
        self._only_bad = only_bad

    def verdict(self, verdict: Verdict) -> None:
        """Print one object."""
        if self._only_bad and verdict.is_well:
            return
        _print_json(verdict_as_json(verdict))

    def trouble(self, file: str, problem: str) -> None:
        """Print one object."""
        _print_json({"file": file, "problem": problem})

    def summary(self, tally: Tally) -> None:
        """Print one object."""
        _print_json({"summary": tally.as_json()})


def verdict_as_json(verdict: Verdict) -> dict[str, object]:
    """Return an event's end for scripts."""
    shown: dict[str, object] = {"file": verdict.file, "line": verdict.line}
    if verdict.event_index is not None:
        shown["event_index"] = verdict.event_index
    shown |= {"end": verdict.end, "why": verdict.why}
    shown |= {key: text for key in ("detail", "format", "pixel_id") if (text := getattr(verdict, key))}
    if verdict.conversion is not None:
        shown |= {"conversion": verdict.conversion, "dropped": list(verdict.dropped)}
    if verdict.unread:
        shown["unread"] = [{"field": field, "did_you_mean": meant} for field, meant in verdict.unread]
    if verdict.warnings:
        shown["warnings"] = list(verdict.warnings)
    return shown


def _print_json(shown: object) -> None:
    sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")


class PeopleOutput:
    """In colour on a terminal, plain lines in a pipe."""

    def __init__(self, console: Console, *, only_bad: bool) -> None:
        self._console = console
        self._only_bad = only_bad
        if not console.is_terminal:
            console.width = _PLAIN_WIDTH

    def verdict(self, verdict: Verdict, place: str = "") -> None:
        """Print the place and the end, then what X would get or what is wrong, then what was dropped.

        The place is file and line, where no other is given.
        """
        if self._only_bad and verdict.is_well:
            return
        index = "" if verdict.event_index is None else f"[{verdict.event_index}]"
        at = f" at pixel {verdict.pixel_id}" if verdict.pixel_id else ""
        lines = [(f"{place or f'{verdict.file}:{verdict.line}'}{index}", verdict.end, f"{verdict.why}{at}")]
        if not self._console.is_terminal:
            # A million lines through rich would take minutes.
            sys.stdout.write(f"{lines[0][0]}  {verdict.end}  {lines[0][2]}\n" + _more(verdict))
            return
        place, end, why = lines[0]
        self._print(Text.assemble((place, "dim"), "  ", (end, _STYLES[verdict.end]), f"  {why}"))
        if more := _more(verdict):
            self._print(Text(more.rstrip("\n")))

    def trouble(self, file: str, problem: str) -> None:
        """Print one line."""
        self._print(Text.assemble((file, "dim"), "  ", ("not read to its end", "bold red"), f"  {problem}"))

    def summary(self, tally: Tally) -> None:
        """Print the table, and one sentence."""
        table = Table(box=box.SIMPLE_HEAD if self._console.is_terminal else None, pad_edge=False)
        table.add_column("events", justify="right")
        table.add_column("end")
        table.add_column("why", overflow="fold")
        for end, why, count in tally.rows():
            table.add_row(f"{count:,}", Text(end, style=_STYLES[end]), Text(why))
        for code, count in tally.dropped.most_common():
            table.add_row(f"{count:,}", Text("dropped", style="yellow"), Text(f"{code}: {DROPPED[Drop(code)]}"))
        if tally.events:
            self._print("")
            self._print(table)
            self._print("")
        if shares := tally.match_quality():
            self._print(Text(f"of the conversions: {shares}"))
        sentence = f"{tally.events:,} event{'' if tally.events == 1 else 's'}"
        bad = sum(count for end, _, count in tally.rows() if end not in ("conversion", "skipped"))
        sentence += f", {bad:,} that cannot be sent." if bad else "."
        self._print(Text(sentence, style="bold green" if tally.is_well else "bold red"))

    def _print(self, shown: Text | Table | str) -> None:
        if self._console.is_terminal:
            self._console.print(shown, highlight=False, soft_wrap=not isinstance(shown, Table))
            return
        # Tables pad their cells.
        with self._console.capture() as rendered:
            self._console.print(shown, highlight=False, soft_wrap=not isinstance(shown, Table))
        for line in rendered.get().splitlines() or [""]:
            sys.stdout.write(line.rstrip() + "\n")


def _more(verdict: Verdict) -> str:
    lines = ""
    if verdict.conversion is not None:
        lines += f"  {json.dumps(verdict.conversion, ensure_ascii=False)}\n"
    elif verdict.detail:
        lines += f"  {verdict.detail}\n"
    return lines + "".join(f"  {remark}\n" for remark in remarks(verdict))


def remarks(verdict: Verdict) -> Iterator[str]:
    """Yield a line for people on whatever of an event goes nowhere, or may be a slip."""
    for code in dict.fromkeys(verdict.dropped):
        yield f"dropped {code}: {DROPPED[Drop(code)]}"
    for warning in verdict.warnings:
        yield f"warning: {warning}"
    if unread := worth_a_look(verdict.unread, verdict.format):
        yield f"nothing reads {in_words(unread)}"


class Bar:
    """A bar that shows how far a file is read, where somebody watches and it takes a while."""

    def __init__(self, console: Console, *, wanted: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[events]} events"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not wanted,
        )
        self._task: TaskID | None = None

    def begin(self, file: str, size: int | None) -> None:
        """Begin with a file; `size` in bytes, None where nobody knows."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(file, total=size, events="0")

    def advance(self, position: int, events: int) -> None:
        """Show a position in the file, in bytes."""
        if self._task is not None:
            self._progress.update(self._task, completed=position, events=f"{events:,}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
