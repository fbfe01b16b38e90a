"""`python -m tests.soak`: see its --help."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from tests.soak import report as mix_report
from tests.soak.mix import run_mix
from tests.soak.watching import LinesWatcher, TerminalWatcher, Watcher
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.errors import LocalServiceError

_PLAIN_WIDTH = 110
_INTERRUPTED = 130


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit code: 0 when everything balances, 1 when it does not (with what is wrong), 2 for wrong usage.",
)
@click.option(
    "--events",
    type=click.IntRange(min=1, max=10_000_000),
    default=100_000,
    show_default=True,
    help="Fewer make the incidents shorter: with 100,000, X is down for a minute.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Chooses messages and faults; not the timing.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where plots, the whole report and the function's log go.  [default: build/soak]",
)
@click.option("--json", "json_output", is_flag=True, help="Print one JSON document and nothing else.")
def soak(*, events: int, seed: int, out: Path | None, json_output: bool) -> None:
    """Put the function through much, and settle the account.

    The real function under the Functions Framework, with nothing installed but requirements.txt, gets EVENTS events
    in single and packed messages, some invalid, some without consent, of two pixels. A driver delivers and redelivers
    them as Pub/Sub does. All the time X answers 10 % of the requests 5xx and 5 % 429 with a reset, drops 2 % of
    the connections (half of them after it counted), answers 2 % too late, and refuses 1 % of the conversions. One
    after another X is down, the keys are rotated, the dead-letter topic goes away and comes back, Secret Manager
    does, and the function ends by SIGTERM and by kill -9.

    In the end every event has to be where it belongs: published = delivered + dead-lettered + skipped.
    """
    # A script reads stdout: whoever watches it at a terminal watches stderr.
    console = Console(stderr=json_output)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    folder = out or repository_root() / "build" / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    keep_log = folder / "function.log"
    keep_log.unlink(missing_ok=True)
    try:
        with _leaving_on_signals(), _watcher(console, json_output=json_output) as watcher:
            report = run_mix(events=events, seed=seed, watcher=watcher, keep_log=keep_log)
    except LocalServiceError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Stopped; everything that was started has ended.", err=True)
        sys.exit(_INTERRUPTED)
    mix_report.plot(report, folder)
    if json_output:
        click.echo(json.dumps(mix_report.as_json(report), indent=1, ensure_ascii=False))
    else:
        mix_report.show(report, console)
        console.print(f"Plots, report and log: {folder}", soft_wrap=True, highlight=False)
    sys.exit(0 if report.account.balances else 1)


def _watcher(console: Console, *, json_output: bool) -> Watcher:
    if console.is_terminal:
        return TerminalWatcher(console)
    return Watcher() if json_output else LinesWatcher(console)


@contextmanager
def _leaving_on_signals() -> Iterator[None]:
    """Unwind on a closed terminal or a supervisor's SIGTERM: nothing that was started must stay behind."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    soak()
