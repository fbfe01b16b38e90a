"""`xcapi trace`: where a conversion ended."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from xcapi_core.cli.configuration import config_option, load_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.durations import DURATION
from xcapi_core.cli.log.lines import LogFile
from xcapi_core.cli.stop import INTERRUPTED
from xcapi_core.cli.trace.findings import End, Finding, Wanted
from xcapi_core.logs.conversion_ids import may_be_personal
from xcapi_core.settings import Settings

__all__ = ["trace"]

_STYLES: Final[dict[End, str]] = {
    "delivered": "green",
    "already_delivered": "green",
    "dead_lettered": "bold red",
    "skipped": "cyan",
}
_DEFAULT_SINCE: Final = timedelta(days=7)

_HELP = """Tell where conversions ended, by their ids (conversion_id: your order's number).

It searches the function's log in Cloud Logging, and the dead letters where there is a subscription of them; nothing is
taken out. With --log it searches files of log lines instead, as the function writes them or as `gcloud logging read
--format=json` does. The log names conversions by a digest of pixel and id (`log_conversion_ids`), so the pixel has to
be known: from the configuration, or by --pixel.

\b
xcapi trace 10001 10002 --config config.json --since 3d
xcapi trace 10001 --pixel o8z6j --log function.log
xcapi trace 10001 --config config.json --filter

Exits with 0 if every id was found, 1 if any was not, 2 for wrong usage, 130 after Ctrl-C.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@config_option
@click.option("--pixel", "pixels", multiple=True, help="The pixel, where there is no configuration; may be repeated.")
@click.option("--since", type=DURATION, help="How far back to look in Cloud Logging, as 90m, 12h or 3d (7d).")
@click.option("--project", help="The Google Cloud project; else the configuration's, else gcloud's.")
@click.option("--subscription", help="The dead letters' subscription; else the only one of dead_letter_topic.")
@click.option(
    "--log",
    "log_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
    help='A file of log lines instead of Cloud Logging; "-" is standard input; may be repeated.',
)
@click.option("--filter", "print_filter", is_flag=True, help="Print the query for the Logs Explorer instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each finding, then the summary.")
def trace(
    *,
    ids: tuple[str, ...],
    config_file: Path | None,
    pixels: tuple[str, ...],
    since: timedelta | None,
    project: str | None,
    subscription: str | None,
    log_files: tuple[str, ...],
    print_filter: bool,
    as_json: bool,
) -> None:
    """Trace; see the help text above."""
    if not all(ids):
        raise click.BadParameter("an empty id", param_hint="ID…")
    settings = load_configuration(config_file)
    wanted = Wanted(ids, pixels or (tuple(settings.pixels) if settings else ()))
    if not pixels and settings is None:
        raise click.UsageError("Which pixel? The log names conversions by pixel and id: give --pixel or --config.")
    earliest = datetime.now(UTC) - (since or _DEFAULT_SINCE)
    if print_filter:
        click.echo(wanted.cloud_filter(earliest if since else None))
        return
    findings: list[Finding] = []
    was_stopped = False
    try:
        for finding in _search(wanted, settings, earliest, project, subscription, log_files):
            findings.append(finding)
            if as_json:
                click.echo(json.dumps(finding.as_json(), ensure_ascii=False))
    except KeyboardInterrupt:
        was_stopped = True
    missing = wanted.missing(findings)
    if as_json:
        # Of what was searched in part nobody can say that it is not there.
        rest = {"complete": False} if was_stopped else {"not_found": missing}
        click.echo(json.dumps({"summary": {"findings": len(findings), **rest}}, ensure_ascii=False))
    else:
        _show(findings)
    if was_stopped:
        click.echo("Stopped before everything was searched.", err=True)
        sys.exit(INTERRUPTED)
    if missing:
        click.echo(_not_found(missing, settings, log_files, since or _DEFAULT_SINCE), err=True)
        sys.exit(1)


def _search(  # noqa: PLR0917 - the places to search
    wanted: Wanted,
    settings: Settings | None,
    earliest: datetime,
    project: str | None,
    subscription: str | None,
    log_files: Sequence[str],
) -> Iterator[Finding]:
    if log_files:
        yield from _in_files(wanted, log_files)
    else:
        # Google's clients are slow to import, and a file needs none of them.
        from xcapi_core.cli.trace.at_google import in_cloud_log  # noqa: PLC0415

        yield from in_cloud_log(wanted, settings, project, earliest)
    topic = settings.dead_letter_topic if settings else "file:"
    if subscription or (topic.startswith("projects/") and not log_files):
        from xcapi_core.cli.trace.at_google import in_dead_letters  # noqa: PLC0415

        yield from in_dead_letters(wanted, settings, project, subscription)


def _in_files(wanted: Wanted, log_files: Iterable[str]) -> Iterator[Finding]:
    for name in log_files:
        with click.open_file(name, "rb") as stream:
            log = LogFile(stream)
            read = 0
            for line in log:
                read += 1
                yield from wanted.in_line(line)
        if log.passed_over and not read:
            raise click.ClickException(f"{name} holds no lines of the function's log: JSON lines with an event each.")


def _show(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    console = new_console()
    table = Table(box=None, pad_edge=False, show_header=console.is_terminal)
    for title in ("when", "id", "end", "pixel", "more"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        when = finding.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if finding.time else "-"
        more = finding.reason or (f"debug_id {finding.debug_id}" if finding.debug_id else "")
        end = Text(finding.end.replace("_", " "), style=_STYLES[finding.end])
        table.add_row(when, Text(finding.conversion_id), end, finding.pixel_id, more)
    console.print(table)


def _not_found(missing: Sequence[str], settings: Settings | None, log_files: Sequence[str], since: timedelta) -> str:
    days = f"{since / timedelta(days=1):.3g} days"
    where = "in the log" if log_files else f"in the log of the last {days}, nor among the dead letters"
    reasons = [
        "the event never reached the topic, or waits in the backlog (`xcapi status`)",
        "it was skipped: no consent, an event that the pixel does not want, nobody to match. Such are named nowhere",
        "it was sent under another id: a derived one, where the event has none that counts (`xcapi validate`)",
        "another pixel took it",
    ]
    if not log_files:
        reasons.append("the log no longer has it: Cloud Logging keeps 30 days by default")
    if settings is not None and settings.log_conversion_ids == "off":
        reasons.insert(0, '`log_conversion_ids` is "off": the log names no conversion')
    if any(map(may_be_personal, missing)):
        reasons.insert(0, "the log never names an id that may be personal: one with an @, or of 64 hex digits")
    told = f"Not found {where}: {', '.join(missing)}. It can mean that"
    return "\n".join([told, *(f"  - {reason}" for reason in reasons)])
