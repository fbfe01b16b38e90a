"""A clock and medians, for parts that run in this process."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.benchmarks.results import Result, Table

__all__ = ["ROUNDS", "detail", "medians_s", "without_log"]

ROUNDS = 7


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


def detail(table: Table, measured: str, **figures: float) -> list[Result]:
    """Return a part's table as a line without a goal."""
    return [Result(what=table.title, goal="", measured=measured, figures=figures, tables=[table])]


@contextmanager
def without_log() -> Iterator[None]:
    """Let what runs in this process log into nothing: the log goes to standard output, past Python's own."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
