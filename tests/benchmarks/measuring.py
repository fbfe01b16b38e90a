"""A clock, medians and a table: all that the benchmarks need, and nothing to install."""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ROUNDS", "Table", "medians_s", "silenced"]

ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one benchmark found. The first column is left-aligned text, the others are right-aligned."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        cells = [self.columns, *self.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = [self.title, *(_line(row, widths) for row in cells), f"  {self.note}"]
        lines.insert(2, "  " + "  ".join("-" * width for width in widths))
        return "\n".join(lines).rstrip()


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return "  " + "  ".join([first, *(text.rstrip().rjust(len(text)) for text in others)])


def medians_s(contestants: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Run each contestant once to warm up, then all of them in turn, and return each one's median in seconds.

    In turn, so that a machine that slows down in the middle slows them all down.
    """
    for contestant in contestants.values():
        contestant()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            started = time.perf_counter()
            contestant()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Send the function's own log lines, which go to file descriptor 1 directly, nowhere."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
