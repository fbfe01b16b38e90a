"""What a row of the benchmark found: figures, the verdict on a goal, tables of details, plots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CannotMeasureError", "Plot", "Result", "Table", "Verdict", "judged"]

# "none": there is no goal, only a figure.
Verdict = Literal["met", "missed", "none"]


class CannotMeasureError(Exception):
    """A row could not be measured; the text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Details. The first column is left-aligned text, the others are right-aligned."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One line over points that have names; `name` becomes the file's."""

    name: str
    title: str
    x_title: str
    y_title: str
    x: Sequence[str]
    y: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table. `figures` are for the JSON: numbers whose names carry their unit."""

    what: str
    goal: str
    measured: str
    ratio: str = ""
    verdict: Verdict = "none"
    figures: dict[str, float] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()


def judged(*, met: bool) -> Verdict:
    """Return the verdict on a goal."""
    return "met" if met else "missed"
