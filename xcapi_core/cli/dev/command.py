"""`xcapi dev`: starts everything, sends the files' events, shows what became of each, and serves the console."""

import sys
from pathlib import Path

import click

from xcapi_core.cli.configuration import config_option, require_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.dev.output import JsonOutput, Output, PeopleOutput
from xcapi_core.cli.dev.session import Session, Wishes
from xcapi_core.cli.event_options import check_pixel, format_option, input_option, pixel_option
from xcapi_core.cli.files import InputFormat
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.processes import leaving_on_signals

__all__ = ["dev"]

_HELP = """Send your own events through the real function to a sandbox in X's place, and see what X would see.

It takes your configuration, and replaces whatever leaves this machine: X's address, the keys, all topics. It starts the
sandbox, a local Pub/Sub and the function under the Functions Framework, publishes the events of FILE (read as
`xcapi validate` reads it), and prints each one's request, X's answer and what to do. The console shows the same in a
browser. Nothing leaves this machine, except that pip downloads the function's packages the first time.

\b
xcapi dev --config config.json events.jsonl
xcapi dev --config config.json --watch events.jsonl
xcapi dev --config config.json

With --watch it sends again whenever a file is saved; without FILE it waits for what you publish yourself. On a
terminal, with --watch, with a --port of your own or without FILE it serves the console until Ctrl-C; otherwise it ends
with the last event. The sandbox knows the event tags of your configuration; --any-tag accepts all.

Exits with 0 if every event was delivered or left out on purpose, 1 otherwise, 2 for wrong usage, 130 after Ctrl-C.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.argument(
    "files",
    nargs=-1,
    metavar="[FILE…]",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
)
@config_option
@format_option
@pixel_option
@input_option
@click.option("--port", type=click.IntRange(0, 65535), help="The console's port; 0 takes a free one.  [default: 8089]")
@click.option("--watch", is_flag=True, help="Send again whenever a file is saved.")
@click.option("--any-tag", is_flag=True, help="Accept every event tag, not only those of the configuration.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=3600),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="How long events may take to end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each event, then the summary.")
def dev(
    *,
    files: tuple[str, ...],
    config_file: Path | None,
    format_: str | None,
    pixel: str | None,
    input_format: InputFormat,
    port: int | None,
    watch: bool,
    any_tag: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Run one's own events; see the help text above."""
    settings = require_configuration(config_file)
    check_pixel(pixel, settings)
    if watch and (not files or "-" in files):
        raise click.UsageError("--watch needs files that can be saved.")
    output: Output = JsonOutput() if as_json else PeopleOutput(new_console())
    wishes = Wishes(
        files=files,
        config_file=config_file,
        settings=settings,
        attributes={key: value for key, value in (("format", format_), ("pixel_id", pixel)) if value},
        input_format=input_format,
        timeout_s=timeout,
        watch=watch,
        stays=watch or not files or bool(port) or (port is None and sys.stdout.isatty()),
    )
    try:
        with leaving_on_signals():
            is_well = Session(wishes, output).run(port, any_tag=any_tag)
    except LocalServiceError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if is_well else 1)
