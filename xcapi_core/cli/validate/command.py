"""`xcapi validate`: reads files as the function would read messages, and sends nothing."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from rich.console import Console

from xcapi_core.cli.configuration import config_option, require_configuration
from xcapi_core.cli.console import is_animated, new_console
from xcapi_core.cli.event_options import check_pixel, format_option, input_option, pixel_option
from xcapi_core.cli.files import Chunk, InputError, InputFormat, at_least_one, read_chunks
from xcapi_core.cli.standard_output import discard_output
from xcapi_core.cli.validate.asking import MOST_QUESTIONS, Asking
from xcapi_core.cli.validate.output import Bar, JsonOutput, Output, PeopleOutput
from xcapi_core.cli.validate.tally import Tally
from xcapi_core.cli.validate.verdicts import Verdict, judge

__all__ = ["validate"]

# Below it a file is read before anybody could look at a bar.
_LONG_FILE_BYTES = 2_000_000
_EVENTS_A_STEP = 500

_HELP = """Show what each event in FILE… would become at X, or why nothing. Nothing is sent.

A file holds JSON, JSON lines or CSV, compressed with gzip or not; "-" is standard input. Each line (of JSON: the whole
document) is read as the function would read a message with this data: one event, an array, {"events": […]}, a
Measurement Protocol body, a Segment batch. A CSV's header names the fields, in any case, with spaces or "_",
"user.email" the field email in user; JSON in a cell counts as such. Dead letters (as `xcapi dlq export` and
`gcloud pubsub subscriptions pull --format=json` write them) and push envelopes are read as the messages they hold.

--ask-x then lets X itself judge up to 50 of the conversions. X has no test mode: what goes out is synthetic (people,
ids, no amounts) and carries one element that X must refuse, so that it counts nothing, as far as anybody has seen. A
control comes first; any answer that is not that refusal stops everything. `xcapi doctor` asks the control alone.

The configuration is the function's own: --config FILE, else XCAPI_CONFIG or XCAPI_CONFIG_FILE. Of identifiers, only
as much is shown as tells one's own.

\b
xcapi validate --config config.json events.jsonl
bq head --format=json analytics_1.events_20260420 |
  xcapi validate --format ga4 -
xcapi validate --json export-*.json.gz |
  jq 'select(.end == "invalid")'

Exits with 0 if every event is sent or left out on purpose, 1 if any cannot be sent or a file cannot be read, 2 for
wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE…",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
)
@config_option
@format_option
@pixel_option
@input_option
@click.option("--ask-x", is_flag=True, help="Let X judge what would be sent (50 at most), without counting it.")
@click.option("--with-value", is_flag=True, help="With --ask-x: amounts, too.")
@click.option("--yes", is_flag=True, help="With --ask-x: do not ask.")
@click.option("--quiet", is_flag=True, help="Show only what cannot be sent, and the summary.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each event, then the summary.")
def validate(
    *,
    files: tuple[str, ...],
    config_file: Path | None,
    format_: str | None,
    pixel: str | None,
    input_format: InputFormat,
    ask_x: bool,
    with_value: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Validate files; see the help text above."""
    settings = require_configuration(config_file)
    check_pixel(pixel, settings)
    attributes = {key: value for key, value in (("format", format_), ("pixel_id", pixel)) if value}
    asking = Asking(settings, with_value=with_value) if ask_x else None
    console = new_console()
    output: Output = JsonOutput(only_bad=quiet) if as_json else PeopleOutput(console, only_bad=quiet)
    try:
        tally = _validate(
            files,
            input_format,
            lambda chunk, file: judge(chunk, file, settings, attributes, datetime.now(UTC)),
            output,
            _bar(files, console),
            note=None if asking is None else asking.note,
        )
        if not as_json:
            output.summary(tally)  # people decide by it whether to ask
        sys.stdout.flush()  # before what X has to say, part of which goes to stderr
        tally.x_takes_all = asking is None or _ask(asking, yes=yes, as_json=as_json)
        if as_json:
            output.summary(tally)  # the last line, which tells a script that it has all
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()  # end as `… | head` wants it: quietly
        sys.exit(0)
    sys.exit(0 if tally.is_well else 1)


def _validate(
    files: tuple[str, ...],
    input_format: InputFormat,
    judged: Callable[[Chunk, str], Iterator[Verdict]],
    output: Output,
    bar: Bar,
    *,
    note: Callable[[Verdict], None] | None,
) -> Tally:
    tally = Tally()
    with bar:
        for file in files:
            try:
                with click.open_file(file, "rb") as stream:
                    bar.begin(file, None if file == "-" else Path(file).stat().st_size)
                    chunks = read_chunks(stream, file, input_format)
                    for verdict in at_least_one(verdict for chunk in chunks for verdict in judged(chunk, file)):
                        tally.add(verdict)
                        output.verdict(verdict)
                        if note is not None:
                            note(verdict)
                        if tally.events % _EVENTS_A_STEP == 0:
                            bar.advance(_position(stream), tally.events)
            except InputError as error:
                tally.files_unread += 1
                output.trouble(file, str(error))
            except OSError as error:
                if error.filename is None:  # the output's
                    raise
                tally.files_unread += 1
                output.trouble(file, error.strerror or "unreadable")
    return tally


def _ask(asking: Asking, *, yes: bool, as_json: bool) -> bool:
    """Ask X, and show its replies; tell whether it would take all."""
    if not asking.agreed(yes=yes):
        return True
    refused = 0
    for reply in asking.replies():
        refused += bool(reply.words)
        if as_json:
            click.echo(json.dumps(reply.as_json(), ensure_ascii=False))
            continue
        index = "" if reply.verdict.event_index is None else f"[{reply.verdict.event_index}]"
        said = "; ".join(reply.words) or "X has nothing to object"
        not_asked = f" (not asked about: {', '.join(reply.left_out)})" if reply.left_out else ""
        click.echo(f"{reply.verdict.file}:{reply.verdict.line}{index}  {said}{not_asked}")
    if asking.beyond:
        click.echo(f"{asking.beyond:,} more were not asked about: {MOST_QUESTIONS} at most.", err=True)
    if asking.stopped:
        click.echo(f"Stopped: {asking.stopped}", err=True)
    return not (refused or asking.stopped)


def _bar(files: tuple[str, ...], console: Console) -> Bar:
    """Return a bar where somebody watches; beside the lines' console where that is a pipe.

    Not where somebody types the events: it would write over them.
    """
    if not console.is_terminal:
        console = new_console(stderr=True)
    is_typed = "-" in files and sys.stdin.isatty()
    if is_typed:
        click.echo("Reading events from the terminal, one a line; Ctrl-D ends them.", err=True)
    is_long = any(file == "-" or Path(file).stat().st_size > _LONG_FILE_BYTES for file in files)
    return Bar(console, wanted=is_animated(console) and is_long and not is_typed)


def _position(stream: IO[bytes]) -> int:
    try:
        return stream.tell()
    except OSError:  # a pipe has none
        return 0
