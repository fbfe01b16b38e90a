"""`xcapi publish`: packs the events of files into messages and publishes them."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from xcapi_core.cli.configuration import config_option, load_configuration
from xcapi_core.cli.event_options import check_pixel, format_option, input_option
from xcapi_core.cli.files import Chunk, InputError, InputFormat, at_least_one
from xcapi_core.cli.google.clients import new_publisher
from xcapi_core.cli.google.errors import google_errors
from xcapi_core.cli.google.names import full_name, project_option
from xcapi_core.cli.google.publishing import attribute_problem
from xcapi_core.cli.pace import Pace
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.publish.checking import Checker
from xcapi_core.cli.publish.sending import Sender
from xcapi_core.cli.publish.units import Pack, packs_of, units_of
from xcapi_core.cli.stop import INTERRUPTED, Stop, stopping

__all__ = ["publish"]

_PROBLEMS_SHOWN: Final = 20
_TICK_EVERY: Final = 500

_HELP = """Publish the events in FILE… to a topic, packed into messages.

Files are read as `xcapi validate` reads them: JSON, JSON lines
or CSV, compressed or not, dead letters and push envelopes; "-"
is standard input. All of it is checked before anything is sent;
with a configuration nothing goes that the function would refuse.

\b
xcapi publish events.jsonl --topic x-conversions
xcapi publish orders.csv --topic x-conversions \\
    --config config.json --skip-invalid --rate 50

Ctrl-C and errors say up to which line all is confirmed (of a
table: row, of an array: element); go on there:

\b
xcapi publish events.jsonl --topic x-conversions \\
    --from-line 1201

Exits with 0 when all is confirmed, 1 if anything is wrong, 2 for
wrong usage, 130 after Ctrl-C.
"""


@dataclass(slots=True)
class _Source:
    """A file that can be read twice; `path` is where its bytes are."""

    name: str
    path: Path
    form: InputFormat

    def units(self) -> Iterator[Chunk]:
        with self.path.open("rb") as stream:
            yield from units_of(stream, self.name, self.form)


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE…",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
)
@click.option("--topic", required=True, help="The topic, by its full or short name.")
@project_option
@config_option
@input_option
@click.option(
    "--events-per-message", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many."
)
@click.option("--rate", type=click.FloatRange(min=0.01), help="At most so many events a second.")
@click.option("--attribute", "given", multiple=True, metavar="KEY=VALUE", help="An attribute; may be repeated.")
@format_option
@click.option("--pixel-id", help="The attribute pixel_id.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Begin at this line of the one FILE.")
@click.option("--skip-invalid", is_flag=True, help="Leave out what cannot be sent, instead of sending nothing.")
@click.option("--allow-old", is_flag=True, help="Publish what is older than 48 h, too.")
@click.option("--dry-run", is_flag=True, help="Check, and say what would be published.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON line.")
def publish(
    *,
    files: tuple[str, ...],
    topic: str,
    project: str | None,
    config_file: Path | None,
    input_format: InputFormat,
    events_per_message: int,
    rate: float | None,
    given: tuple[str, ...],
    format_: str | None,
    pixel_id: str | None,
    from_line: int,
    skip_invalid: bool,
    allow_old: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Publish; see the help text above."""
    if from_line > 1 and len(files) > 1:
        raise click.UsageError("--from-line is about one FILE.")
    settings = load_configuration(config_file)
    if settings is not None:
        check_pixel(pixel_id, settings, "--pixel-id")
    name = full_name("topics", topic, project, settings)
    attributes = _attributes(given, format_, pixel_id)
    checker = Checker(settings, attributes, allow_old=allow_old)
    totals = {"events": 0, "messages": 0, "confirmed_line": from_line - 1, "left_out": 0}
    name_of_file, trouble, began = files[0], "", False
    with stopping() as stop, ExitStack() as opened:
        sources = [_open(file, input_format, opened) for file in files]
        found, bad, trouble = _check_all(sources, checker, from_line, stop)
        if bad and not (skip_invalid or trouble or stop.is_told):
            trouble = (
                f"{bad:,} of {found:,} cannot be published, so nothing was. Mend them, or leave them out with "
                "--skip-invalid."
            )
        totals["left_out"] = bad
        for source in sources:
            if trouble or stop.is_told:
                break
            name_of_file = source.name
            packs = packs_of(_sendable(source, checker, from_line), attributes, events_per_message)
            if dry_run:
                _count(packs, totals, stop)
                continue
            with google_errors(f"The topic {name}"):
                sender = Sender(new_publisher(), name, Pace(rate), stop)
            began = True

            def describe(sender: Sender = sender) -> tuple[int, str]:
                return sender.events, f"{sender.events:,} events published"

            try:
                with Progressing(describe) as progress:
                    sender.send(_ticking(packs, progress), events_per_message=events_per_message, start=from_line - 1)
            except InputError as error:
                sender.trouble = f"{source.name} changed while it was being sent: {error}."
            totals["events"] += sender.events
            totals["messages"] += sender.messages
            totals["confirmed_line"] = sender.confirmed
            trouble = sender.trouble
        stopped = stop.is_told
    if began or stopped or as_json or not trouble:
        _tell(totals, name_of_file, dry_run=dry_run, complete=not (trouble or stopped), as_json=as_json)
    if trouble:
        raise click.ClickException(trouble)
    sys.exit(INTERRUPTED if stopped else 0)


def _attributes(given: tuple[str, ...], format_: str | None, pixel_id: str | None) -> dict[str, str]:
    attributes = {key: value for key, value in (("format", format_), ("pixel_id", pixel_id)) if value}
    for pair in given:
        key, equals, value = pair.partition("=")
        problem = attribute_problem(key, value) if equals else "KEY=VALUE is meant"
        if problem:
            raise click.BadParameter(f"{pair}: {problem}", param_hint="--attribute")
        attributes[key] = value
    return attributes


def _open(file: str, form: InputFormat, opened: ExitStack) -> _Source:
    """Return a file that can be read twice; standard input is copied to a temporary one first."""
    if file != "-":
        return _Source(file, Path(file), form)
    copy = opened.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - `opened` closes it
    shutil.copyfileobj(sys.stdin.buffer, copy)
    copy.flush()
    return _Source("-", Path(copy.name), form)


def _check_all(sources: list[_Source], checker: Checker, from_line: int, stop: Stop) -> tuple[int, int, str]:
    """Check every unit; return how many there are, how many cannot be published, and what cannot be read at all."""
    found = bad = 0
    with Progressing(lambda: (found, f"{found:,} checked")) as progress:
        for source in sources:
            try:
                for unit in at_least_one(source.units()):
                    if unit.position < from_line:
                        continue
                    if stop.is_told:
                        return found, bad, ""
                    found += 1
                    if found % _TICK_EVERY == 0:
                        progress.tick()
                    if problem := checker.check(unit).problem:
                        bad += 1
                        if bad <= _PROBLEMS_SHOWN:
                            click.echo(f"{source.name}:{unit.position}  {problem}", err=True)
            except InputError as error:
                return found, bad, f"{source.name}: {error}. Nothing was published."
    if bad > _PROBLEMS_SHOWN:
        click.echo(f"… and {bad - _PROBLEMS_SHOWN:,} more.", err=True)
    return found, bad, ""


def _sendable(source: _Source, checker: Checker, from_line: int) -> Iterator[tuple[Chunk, int]]:
    for unit in source.units():
        if unit.position >= from_line:
            checked = checker.check(unit)
            if not checked.problem:
                yield unit, checked.events


def _count(packs: Iterator[Pack], totals: dict[str, int], stop: Stop) -> None:
    for pack in packs:
        if stop.is_told:
            return
        totals["events"] += pack.events
        totals["messages"] += 1


def _ticking(packs: Iterator[Pack], progress: Progressing) -> Iterator[Pack]:
    for pack in packs:
        progress.tick()
        yield pack


def _tell(totals: dict[str, int], name: str, *, dry_run: bool, complete: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"summary": {**totals, "file": name, "dry_run": dry_run}}, ensure_ascii=False))
        return
    events, messages = totals["events"], totals["messages"]
    counts = f"{events:,} event{'' if events == 1 else 's'} in {messages:,} message{'' if messages == 1 else 's'}"
    left = f"; {totals['left_out']:,} left out" if totals["left_out"] else ""
    if dry_run:
        so_far = "" if complete else "Stopped. So far: "
        click.echo(f"{so_far}Would publish {counts}{left}. Nothing was sent.")
    elif complete:
        click.echo(f"Published {counts}{left}.")
    else:
        line = totals["confirmed_line"]
        click.echo(f"Stopped. {counts} confirmed{left}: everything of {name} up to line {line}. Go on with "
                   f"--from-line {line + 1}; what was on its way may be there twice.")  # fmt: skip
