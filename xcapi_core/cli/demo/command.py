"""`xcapi demo`: the whole path on this machine, from a Pub/Sub message to X's answer."""

import json
import sys
from datetime import UTC, datetime

import click
from rich.console import Console

from xcapi_core.cli.console import OutputConsole
from xcapi_core.cli.demo.performance import Report, perform
from xcapi_core.cli.demo.rendering import as_json, show
from xcapi_core.cli.demo.stage import PubsubChoice, open_stage
from xcapi_core.cli.demo.story import tell_story
from xcapi_core.cli.demo.watching import LinesOutput, Output, SilentOutput, TerminalOutput
from xcapi_core.cli.stop import INTERRUPTED
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.processes import leaving_on_signals

__all__ = ["demo"]

_PLAIN_WIDTH = 120

_HELP = """Show the whole path on this machine, from message to X's answer.

It starts a sandbox in X's place, a Secret Manager, Pub/Sub (Google's emulator where it is installed) and the real
function under the Functions Framework, with nothing installed but requirements.txt. Then it publishes events: good
ones, bad ones, and some while X is rate-limiting, overloaded or unreachable. Nothing leaves this machine, except that
pip downloads the function's packages the first time.

\b
xcapi demo
xcapi demo --pubsub embedded --json | jq .ok

Exits with 0 if every event ended where it should, 1 otherwise, 2 for wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.option("--json", "json_output", is_flag=True, help="Print one JSON document and nothing else on stdout.")
@click.option(
    "--pubsub",
    type=click.Choice(["auto", "emulator", "embedded"]),
    default="auto",
    show_default=True,
    help="Google's emulator or the embedded pusher; auto takes the emulator where it is installed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=3600),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="What the story may take after the set-up.",
)
def demo(*, json_output: bool, pubsub: PubsubChoice, timeout: float) -> None:
    """Run the demo; see the help text above."""
    # A script reads stdout: a person at the terminal watches stderr.
    console = OutputConsole(stderr=json_output)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    try:
        with leaving_on_signals():
            report = _run(_output(console, json_output=json_output), pubsub, timeout)
        if json_output:
            click.echo(as_json(report))
        else:
            show(report, console)
    except LocalServiceError as error:
        if not json_output:
            raise click.ClickException(str(error)) from error
        click.echo(json.dumps({"ok": False, "problems": [str(error)]}, indent=2))
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Stopped; everything that was started has ended.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(1 if report.problems else 0)


def _run(output: Output, pubsub: PubsubChoice, timeout_s: float) -> Report:
    with output, open_stage(pubsub, on_step=output.step, on_install=output.install) as stage:
        acts = tell_story(datetime.now(UTC))
        output.begins(len(acts), sum(len(act.events) for act in acts))
        return perform(stage, acts, output, timeout_s=timeout_s)


def _output(console: Console, *, json_output: bool) -> Output:
    if console.is_terminal:
        return TerminalOutput(console)
    return SilentOutput() if json_output else LinesOutput(console)
