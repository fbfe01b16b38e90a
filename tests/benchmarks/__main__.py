"""`python -m tests.benchmarks [NAME…]`, which `make bench` runs: measure, show, and write down what was found."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks.catalogue import DETAILS, ROWS
from tests.benchmarks.report.document import write_document
from tests.benchmarks.report.machine import machine, write_json
from tests.benchmarks.report.terminal import Terminal
from tests.benchmarks.results import CannotMeasureError, Result
from tests.benchmarks.running import Measure, Run
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.processes import leaving_on_signals

__all__ = ["main"]

ROUNDS, QUICK_ROUNDS = 5, 1
MEMORY_S, QUICK_MEMORY_S = 60.0, 10.0
_ALL = {**ROWS, **DETAILS}
# The backspace keeps click from wrapping the lines that follow.
_EXAMPLES = """\b
make bench                                 all of it, and docs/benchmarks.md anew
make bench ARGS="--quick"                  two minutes, a first impression
make bench ARGS="packed memory --details"  two rows, with all they found
make bench ARGS="--list"                   what there is
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EXAMPLES)
@click.argument("names", nargs=-1, type=click.Choice(list(_ALL)), metavar="[NAME]…")
@click.option("--list", "only_list", is_flag=True, help="Say what there is to measure, and end.")
@click.option("--quick", is_flag=True, help="One round with a third of the load: two minutes, a first impression.")
@click.option("--rounds", type=click.IntRange(1, 100), help=f"Rounds that a median is taken of.  [default: {ROUNDS}]")
@click.option(
    "--memory-seconds",
    type=click.FloatRange(2, 3_600),
    help=f"How long 10 MB messages are streamed.  [default: {MEMORY_S:.0f}]",
)
@click.option("--details", is_flag=True, help="Show every row's own tables too.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the figures go.  [default: build/bench.json]",
)
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write this page even after a partial run.  [default: docs/benchmarks.md, after a whole run]",
)
def main(
    names: Sequence[str],
    *,
    only_list: bool,
    quick: bool,
    rounds: int | None,
    memory_seconds: float | None,
    details: bool,
    json_path: Path | None,
    page: Path | None,
) -> None:
    """Measure how fast the function is, as ratios within one run.

    Without NAMEs every row with a goal is measured, then the parts beside what one would write first: about ten
    minutes on two cores. What is compared takes turns, A B A B, and each figure is the median of its rounds, so that
    a machine that slows down in the middle slows both. The function runs in one process, under the Functions
    Framework, with what requirements.txt installs; it has one core to itself and the load generator the other.

    A missed goal is shown in red and is no failure: the exit code is 1 only where something could not be measured.
    """
    if only_list:
        _list()
        return
    chosen = {name: _ALL[name] for name in names or _ALL}
    root = repository_root()
    terminal = Terminal(Console(highlight=False))
    run = Run(
        rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS),
        quick=quick,
        memory_s=memory_seconds or (QUICK_MEMORY_S if quick else MEMORY_S),
        say=terminal.say,
        note=terminal.note,
    )
    started = time.monotonic()
    # Whoever ends the run ends what it started: functions and servers are in groups of their own.
    with leaving_on_signals():
        results, failures = _measure(chosen, run, terminal, details=details)
    terminal.summary(results)
    described = machine()
    written = json_path or root / "build" / "bench.json"
    write_json(written, results, described)
    whole = not (names or quick or failures)
    if page or whole:
        page = page or root / "docs" / "benchmarks.md"
        write_document(page, results, described)
        terminal.note(f"Written: {page.name}, its plots, {written.name}.")
    terminal.note(
        f"Python {described['Python']}, {time.monotonic() - started:.0f} s. Ratios hold across machines, not figures."
    )
    sys.exit(1 if failures else 0)


def _measure(
    chosen: dict[str, Measure], run: Run, terminal: Terminal, *, details: bool
) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    failures: list[str] = []
    for number, (name, measure) in enumerate(chosen.items(), 1):
        with terminal.measuring(f"{number}/{len(chosen)} {name}"):
            try:
                found = measure(run)
            except (CannotMeasureError, LocalServiceError) as error:
                terminal.note(f"{name} could not be measured: {error}")
                failures.append(name)
                continue
        terminal.found(found)
        if details or name in DETAILS:
            terminal.details([table for result in found for table in result.tables])
        results += found
    return results, failures


def _list() -> None:
    for measures in (ROWS, DETAILS):
        for name, measure in measures.items():
            words = (sys.modules[measure.__module__].__doc__ or "").strip().splitlines()[0]
            click.echo(f"{name:14} {words}")


if __name__ == "__main__":
    main(prog_name="make bench")
