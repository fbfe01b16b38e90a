"""`xcapi dlq show`: the dead letters themselves, each with what `validate` says of it now."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click
from rich.text import Text

from xcapi_core.cli.configuration import load_configuration
from xcapi_core.cli.console import OutputConsole, new_console
from xcapi_core.cli.dlq.attributes import replayed_attributes
from xcapi_core.cli.dlq.choosing import Looking
from xcapi_core.cli.dlq.dead_letter import DeadLetter, as_text
from xcapi_core.cli.dlq.events_in_data import events_of
from xcapi_core.cli.dlq.filters import Filters, filter_options
from xcapi_core.cli.dlq.masking import shown_event, shown_words
from xcapi_core.cli.dlq.session import Where, open_session, where_options
from xcapi_core.cli.files import Chunk
from xcapi_core.cli.stop import INTERRUPTED
from xcapi_core.cli.validate.output import remarks, verdict_as_json
from xcapi_core.cli.validate.verdicts import judge
from xcapi_core.settings import Settings

__all__ = ["show"]


_HELP: Final = """Show dead letters, event by event: what happened, the event
itself with its identifiers masked, and, with a configuration,
what the function would say of it now. Nothing is taken out.

\b
xcapi dlq show --limit 5
xcapi dlq show --reason invalid_event --json | jq .detail

--reveal shows identifiers; mind who looks over your shoulder.

Exits with 0; 1 where Pub/Sub cannot be asked; 2 for wrong
usage.
"""


@dataclass(slots=True)
class _Shower:
    settings: Settings | None
    reveal: bool
    as_json: bool
    console: OutputConsole
    events: int = 0

    def show(self, dead_letter: DeadLetter) -> None:
        for row, more in _rows(dead_letter, self.settings, datetime.now(UTC), reveal=self.reveal):
            self.events += 1
            if self.as_json:
                click.echo(json.dumps(row, ensure_ascii=False))
            else:
                _print(self.console, row, more)


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@where_options
@filter_options
@click.option("--reveal", is_flag=True, help="Show identifiers as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each event, then the summary.")
def show(*, where: Where, filters: Filters, reveal: bool, as_json: bool) -> None:
    """Show dead letters; see the help text above."""
    settings = load_configuration(where.config_file)
    shower = _Shower(settings, reveal, as_json, new_console())
    showing = Looking(filters, shower.show)
    if settings is None:
        click.echo("Without a configuration nobody can say what the function would make of them now.", err=True)
    with open_session(where, settings) as session:
        session.sweep(showing.handle)
        was_stopped = session.stop.is_told
    if as_json:
        click.echo(json.dumps({"summary": {"chosen": showing.chosen, "events": shower.events}}))
    else:
        click.echo(f"{showing.chosen:,} dead letter{'' if showing.chosen == 1 else 's'}.")
    sys.exit(INTERRUPTED if was_stopped else 0)


def _rows(
    dead_letter: DeadLetter, settings: Settings | None, now: datetime, *, reveal: bool
) -> Iterator[tuple[Mapping[str, object], Sequence[str]]]:
    """Yield each event, and what else `validate` remarks on it."""
    about = {
        "message_id": dead_letter.message_id,
        "reason": dead_letter.reason,
        "pixel_id": dead_letter.pixel_id,
        "error_code": dead_letter.error_code,
        "error_parameter": dead_letter.attributes.get("xcapi_error_parameter", ""),
        "error_message": shown_words(dead_letter.attributes.get("xcapi_error_message", ""), reveal=reveal),
        "publish_time": as_text(dead_letter.publish_time),
        "failed_at": as_text(dead_letter.failed_at),
        "replays": dead_letter.attributes.get("xcapi_replays", "0"),
    }
    events = events_of(dead_letter.data)
    if settings is None:
        for index, event in enumerate(events or [dead_letter.data]):
            yield {**about, "event_index": index, "end": None, "event": shown_event(event, reveal=reveal)}, ()
        return
    chunk = Chunk(
        1,
        dead_letter.data,
        attributes=replayed_attributes(dead_letter),
        message_id=dead_letter.message_id,
        publish_time=as_text(dead_letter.publish_time),
    )
    verdicts = list(judge(chunk, "", settings, {}, now))
    shown = [dead_letter.data] if events is None or len(events) != len(verdicts) else events
    for index, verdict in enumerate(verdicts):
        row = {
            **about,
            "event_index": index,
            "end": verdict.end,
            "why": verdict.why,
            "detail": verdict.detail,
            "conversion": verdict.conversion,
            "event": shown_event(shown[min(index, len(shown) - 1)], reveal=reveal),
        }
        says = verdict_as_json(verdict)
        row |= {name: says[name] for name in ("dropped", "unread", "warnings") if says.get(name)}
        yield row, tuple(remarks(verdict))


def _print(console: OutputConsole, row: Mapping[str, object], more: Sequence[str]) -> None:
    pixel = f"  pixel {row['pixel_id']}" if row["pixel_id"] else ""
    head = Text.assemble((f"message {row['message_id']}", "dim"), "  ", (str(row["reason"]), "bold red"), pixel)
    console.print_line(head)
    console.print_line(Text(f"  failed {row['failed_at']}, replayed {row['replays']} times"))
    words = "  ".join(str(row[key]) for key in ("error_code", "error_parameter", "error_message") if row[key])
    if words:
        console.print_line(Text(f"  said: {words}"))
    console.print_line(Text(f"  event {row['event_index']}: {json.dumps(row['event'], ensure_ascii=False)}"))
    if row["end"] is not None:
        detail = f": {row['detail']}" if row["detail"] else ""
        colour = "green" if row["end"] in ("conversion", "skipped") else "bold red"
        console.print_line(Text.assemble("  now: ", (str(row["end"]), colour), f", {row['why']}{detail}"))
    for remark in more:
        console.print_line(Text(f"  {remark}"))
