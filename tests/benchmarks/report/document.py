"""docs/benchmarks.md: the table, details and plots of a whole run, between two markers; the words around stay."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.report.plots import svg
from tests.benchmarks.results import Result, Table

__all__ = ["BEGIN", "END", "write_document"]

BEGIN = "<!-- bench: made by `make bench`, not by hand -->"
END = "<!-- /bench -->"
_WORDS = {"met": "✔ met", "missed": "✘ missed", "none": ""}


def write_document(page: Path, results: Sequence[Result], machine: Mapping[str, str]) -> None:
    """Put the results between the page's markers, and the plots into `img/` beside it.

    Raises ValueError for a page without markers.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} lacks the markers {BEGIN} and {END}")
    images = page.parent / "img"
    images.mkdir(exist_ok=True)
    for plot in (plot for result in results for plot in result.plots):
        (images / f"bench-{plot.name}.svg").write_text(svg(plot), encoding="utf-8")
    made = "\n".join(_made(results, machine))
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def _made(results: Sequence[Result], machine: Mapping[str, str]) -> list[str]:
    lines = [f"Measured on {', '.join(f'{name} {value}' for name, value in machine.items())}.", ""]
    rows = [(one.what, one.goal, one.measured, one.ratio, _WORDS[one.verdict]) for one in results]
    lines += _markdown(("what", "goal", "measured", "ratio", ""), rows, right=False)
    for result in results:
        for table in result.tables:
            lines += ["", f"### {table.title}", "", *_of(table)]
        for plot in result.plots:
            lines += ["", f"![{plot.title}](img/bench-{plot.name}.svg)"]
    return lines


def _of(table: Table) -> list[str]:
    lines = _markdown(table.columns, table.rows, right=True)
    return [*lines, "", table.note] if table.note else lines


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool) -> list[str]:
    sides = ["---", *(("---:" if right else "---") for _ in columns[1:])]
    return [_row(columns), f"|{'|'.join(sides)}|", *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
