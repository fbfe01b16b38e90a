"""`xcapi status`: how things stand, in one screen."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xcapi_core.cli.configuration import config_option, require_configuration
from xcapi_core.cli.console import is_animated, new_console
from xcapi_core.cli.durations import DURATION
from xcapi_core.cli.google.names import find_project, full_name, project_option
from xcapi_core.cli.status.gathering import Queue, Snapshot, gather

__all__ = ["status"]

_WATCH_EVERY_S = 15.0

_HELP = """Show how things stand: what waits and for how long, the last
delivery, dead letters by reason, pixels that pause.

Backlogs come from Cloud Monitoring, some minutes old; the rest
from the function's log of the last hour (--since).

\b
xcapi status --config config.json \\
  --subscription x-conversions
xcapi status --config config.json --since 1d --json
xcapi status --config config.json --watch

Exits with 0; 1 where a service could not be asked; 2 for wrong
usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@config_option
@click.option("--topic", help="The events' topic, whose subscriptions' backlogs are shown.")
@click.option("--subscription", help="The events' subscription; left out where neither is told.")
@project_option
@click.option("--since", type=DURATION, default="1h", show_default=True, help="How far back to read the log.")
@click.option("--watch", is_flag=True, help="Look again every 15 seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each queue, then the summary.")
def status(
    *,
    config_file: Path | None,
    topic: str | None,
    subscription: str | None,
    project: str | None,
    since: timedelta,
    watch: bool,
    as_json: bool,
) -> None:
    """Show the status; see the help text above."""
    settings = require_configuration(config_file)
    found = find_project(project, settings)
    if found is None:
        raise click.UsageError("Which project? Give --project.")
    name = full_name("subscriptions", subscription, project, settings) if subscription else None

    events = full_name("topics", topic, project, settings) if topic else None

    def look() -> Snapshot:
        return gather(settings, found, since, topic=events, subscription=name)

    if watch:
        _watch(look, as_json=as_json)
        return
    snapshot = look()
    _print(snapshot, as_json=as_json)
    sys.exit(1 if snapshot.troubles else 0)


def _watch(look: Callable[[], Snapshot], *, as_json: bool) -> None:
    console = new_console()
    if as_json or not is_animated(console):
        while True:
            _print(look(), as_json=as_json)
            sys.stdout.flush()
            time.sleep(_WATCH_EVERY_S)
    with Live(_screen(look()), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(_WATCH_EVERY_S)
            live.update(_screen(look()), refresh=True)


def _print(snapshot: Snapshot, *, as_json: bool) -> None:
    if not as_json:
        console = new_console()
        console.print(_screen(snapshot), soft_wrap=not console.is_terminal)  # a sentence stays a line in a pipe
        return
    for queue in snapshot.queues:
        click.echo(json.dumps(queue.as_json()))
    click.echo(json.dumps({"summary": snapshot.as_json()}, ensure_ascii=False))


def _screen(snapshot: Snapshot) -> Group:
    queues = Table(box=None, pad_edge=False)
    for title in ("queue", "waiting", "oldest", "subscription"):
        queues.add_column(title, justify="right" if title in ("waiting", "oldest") else "left", overflow="fold")
    for queue in snapshot.queues:
        queues.add_row(*_row(queue))
    span = _span(snapshot.since.total_seconds())
    last = snapshot.last_delivery
    ago = f"{_span((datetime.now(UTC) - last).total_seconds())} ago" if last else f"none in the last {span}"
    told_by_log = [
        Text.assemble("last delivery  ", (ago, "green" if last else "yellow")),
        Text(f"last {span:<9}  {snapshot.delivered:,} delivered, {snapshot.deferred:,} deferred"),
        *_dead_letters(snapshot),
    ]
    unknown = [Text("deliveries     unknown without the log"), Text("dead letters   unknown without the log")]
    lines = [
        *(told_by_log if snapshot.has_log else unknown),
        *(
            Text.assemble("pause          ", (f"{pixel_id}: {why}", "bold red"))
            for pixel_id, why in snapshot.pauses.items()
            if why
        ),
    ]
    if snapshot.is_dry_run:
        lines.append(Text("dry_run        conversions are being discarded", style="bold red"))
    lines += [Text(f"not asked      {trouble}", style="yellow") for trouble in snapshot.troubles]
    return Group(*([queues] if snapshot.queues else []), *lines)


def _row(queue: Queue) -> tuple[Text | str, ...]:
    waiting = "?" if queue.waiting is None else f"{queue.waiting:,}"
    oldest = "" if not queue.waiting or queue.oldest_s is None else _span(queue.oldest_s)
    alarming = queue.what == "dead letters" and bool(queue.waiting)
    return queue.what, Text(waiting, style="bold red" if alarming else ""), oldest, queue.subscription


def _dead_letters(snapshot: Snapshot) -> list[Text]:
    if not snapshot.dead_letters:
        return [Text("dead letters   none")]
    shown = ", ".join(f"{count:,} {reason}" for reason, count in snapshot.dead_letters.most_common())
    return [Text.assemble("dead letters   ", (shown, "bold red")), Text("               `xcapi dlq list` says why")]


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
