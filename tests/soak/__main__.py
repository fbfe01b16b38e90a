"""`python -m tests.soak`: see its --help."""

import json
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from tests.soak import report
from tests.soak.mix import MixReport, run_mix
from tests.soak.overload import Round, run_overload
from tests.soak.restarts import SCENARIOS, run_scenario
from tests.soak.watching import LinesWatcher, TerminalWatcher, Watcher
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.processes import leaving_on_signals

_EVENTS = 100_000
_EMULATOR_EVENTS = 2_000
_PLAIN_WIDTH = 110
_INTERRUPTED = 130


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit code: 0 when everything balances, 1 when it does not (with what is wrong), 2 for wrong usage.",
)
@click.argument(
    "parts", nargs=-1, type=click.Choice(["mix", "overload", "restarts"]), metavar="[mix] [overload] [restarts]"
)
@click.option(
    "--events",
    type=click.IntRange(min=1, max=10_000_000),
    default=None,
    help="Events of the mix; fewer make the incidents shorter.  [default: 100000, with --emulator 2000]",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Chooses messages and faults; not the timing.")
@click.option(
    "--emulator",
    is_flag=True,
    help="The mix through Google's Pub/Sub emulator, two pushes at a time, at one instance.",
)
@click.option(
    "--overload-seconds",
    type=click.FloatRange(min=22, max=3600),
    default=62,
    show_default=True,
    help="How long each of the two rounds of overload lasts.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where plots, the whole report and the function's log go.  [default: build/soak]",
)
@click.option("--json", "json_output", is_flag=True, help="Print one JSON document and nothing else.")
def soak(
    *,
    parts: tuple[str, ...],
    events: int | None,
    seed: int,
    emulator: bool,
    overload_seconds: float,
    out: Path | None,
    json_output: bool,
) -> None:
    """Put the function through much, and settle the account. Without a part named, all; with --emulator, mix.

    The real function runs under the Functions Framework, with nothing installed but requirements.txt.

    \b
    mix       EVENTS events in single and packed messages, some invalid, some without consent, of two
              pixels; a driver delivers and redelivers them as Pub/Sub does. All the time X answers 10 %
              of the requests 5xx and 5 % 429 with a reset, drops 2 % of the connections (half of them
              after it counted), answers 2 % too late and refuses 1 % of the conversions. One after
              another X is down, the keys are rotated, the dead-letter topic goes away and comes back,
              Secret Manager does, and the function ends by SIGTERM and by kill -9. Every event has to end
              where it belongs: published = delivered + dead-lettered + skipped, nothing lost, nothing
              twice but for a cause that was seen, no request during a pause, no window over budget.
    overload  a backlog of a million events, offered at twenty times the rate budget; then the same with
              X at 10 s a request. Memory has to stay bounded, what does not fit is nacked, and X takes
              as much as it would.
    restarts  messages of a hundred events, one of each for a pixel that is down, while instances end every
              few seconds: nothing may be sent twice, but for events that kill -9 found under way.
    """  # noqa: D301 - click's mark for a paragraph that is not to be wrapped
    # A script reads stdout: a person at the terminal watches stderr.
    console = Console(stderr=json_output)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    wanted = parts or (("mix",) if emulator else ("mix", "overload", "restarts"))
    folder = out or repository_root() / "build" / "soak"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{folder} cannot be made: {error.strerror}.", param_hint="--out") from error
    mix: MixReport | None = None
    rounds: list[Round] = []
    repeated: dict[str, int] = {}
    try:
        with leaving_on_signals():
            if "mix" in wanted:
                with _watcher(console, json_output=json_output) as watcher:
                    mix = run_mix(
                        events=events or (_EMULATOR_EVENTS if emulator else _EVENTS),
                        seed=seed,
                        watcher=watcher,
                        keep_log=_fresh(folder / "mix.log"),
                        emulator=emulator,
                    )
                report.plot(mix, folder)
                if not json_output:
                    report.show(mix, console)
            if "overload" in wanted:
                with _watcher(console, json_output=json_output) as watcher:
                    rounds = run_overload(
                        seconds=overload_seconds, watcher=watcher, keep_log=_fresh(folder / "overload.log")
                    )
                report.plot_overload(rounds, folder)
                if not json_output:
                    report.show_overload(rounds, console)
            if "restarts" in wanted:
                repeated = _run_restarts(console)
    except LocalServiceError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Stopped; everything that was started has ended.", err=True)
        sys.exit(_INTERRUPTED)
    ok = (mix is None or mix.account.balances) and not any(one.problems for one in rounds)
    ok = ok and not any(repeated.values())
    if json_output:
        found = {
            "ok": ok,
            "mix": mix and report.as_json(mix),
            "overload": report.overload_as_json(rounds),
            "restarts": repeated,
        }
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        console.print(f"Plots, report and log: {folder}", soft_wrap=True, highlight=False)
    sys.exit(0 if ok else 1)


def _run_restarts(console: Console) -> dict[str, int]:
    """Run every scenario; return how many events each repeated beyond what kill -9 may."""
    venv = FunctionVenv.prepare(repository_root() / "requirements.txt", repository_root() / ".cache")
    repeated: dict[str, int] = {}
    for scenario in SCENARIOS:
        outcome = run_scenario(venv, scenario)
        console.print(f"{scenario.name}: {outcome.doubles} of {outcome.published:,} events sent twice", highlight=False)
        is_wrong = outcome.delivered != outcome.published or scenario.ends_by is not signal.SIGKILL
        repeated[scenario.name] = max(outcome.doubles, outcome.published - outcome.delivered) if is_wrong else 0
    return repeated


def _fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def _watcher(console: Console, *, json_output: bool) -> Watcher:
    if console.is_terminal:
        return TerminalWatcher(console)
    return Watcher() if json_output else LinesWatcher(console)


if __name__ == "__main__":
    soak()
