"""`xcapi dlq list`: what there is, by reason, pixel and X's words."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import click
from rich.text import Text

from xcapi_core.cli.configuration import load_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.dlq.choosing import Looking
from xcapi_core.cli.dlq.dead_letter import DeadLetter, as_text
from xcapi_core.cli.dlq.filters import Filters, filter_options
from xcapi_core.cli.dlq.masking import shown_words
from xcapi_core.cli.dlq.session import Where, open_session, where_options
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.stop import INTERRUPTED

__all__ = ["list_"]


_HELP: Final = """Show how many dead letters there are, by reason, pixel and
X's error code, with the oldest, the newest and a sample of
X's words (identifiers masked). Nothing is taken out.

\b
xcapi dlq list
xcapi dlq list --newer-than 2h --json
xcapi dlq list --subscription x-conversions-dead-letter \\
  --project my-project

Exits with 0, also where there is none; 1 where Pub/Sub
cannot be asked; 2 for wrong usage.
"""


@dataclass(slots=True)
class _Group:
    sample_id: str
    words: str
    oldest: datetime
    newest: datetime
    count: int = 0
    parameters: Counter[str] = field(default_factory=Counter)


class _Groups:
    """Counts dead letters; no body is kept."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str, str], _Group] = {}

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(group.count for group in self.groups.values())

    def add(self, dead_letter: DeadLetter) -> None:
        """Count one."""
        key = (dead_letter.reason, dead_letter.pixel_id, dead_letter.error_code)
        failed_at = dead_letter.failed_at
        group = self.groups.get(key)
        if group is None:
            words = dead_letter.attributes.get("xcapi_error_message", "")
            group = self.groups[key] = _Group(dead_letter.message_id, words, failed_at, failed_at)
        group.count += 1
        group.oldest = min(group.oldest, failed_at)
        group.newest = max(group.newest, failed_at)
        if (parameter := dead_letter.attributes.get("xcapi_error_parameter", "")) and (
            parameter in group.parameters or len(group.parameters) < 100  # noqa: PLR2004 - X's fields are fewer
        ):
            group.parameters[parameter] += 1

    def rows(self) -> Sequence[Mapping[str, object]]:
        """Return the groups, the largest first."""
        return [
            {
                "reason": reason,
                "pixel_id": pixel_id,
                "error_code": error_code,
                "count": group.count,
                "oldest": as_text(group.oldest),
                "newest": as_text(group.newest),
                "error_parameters": dict(group.parameters.most_common(10)),
                "sample": {"message_id": group.sample_id, "error_message": shown_words(group.words)},
            }
            for (reason, pixel_id, error_code), group in sorted(self.groups.items(), key=lambda item: -item[1].count)
        ]


@click.command("list", help=_HELP, context_settings={"max_content_width": 100})
@where_options
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each group, then the summary.")
def list_(*, where: Where, filters: Filters, as_json: bool) -> None:
    """List dead letters; see the help text above."""
    groups = _Groups()
    looking = Looking(filters, groups.add)
    with open_session(where, load_configuration(where.config_file)) as session:
        with Progressing(lambda: (looking.seen, f"{looking.seen:,} looked at")) as progress:
            session.sweep(looking.handle, progress.tick)
        was_stopped = session.stop.is_told
    if as_json:
        for row in groups.rows():
            click.echo(json.dumps(row, ensure_ascii=False))
        summary = {"chosen": looking.chosen, "seen": looking.seen, "complete": not was_stopped}
        click.echo(json.dumps({"summary": summary}))
    else:
        _print(groups, was_stopped=was_stopped)
    sys.exit(INTERRUPTED if was_stopped else 0)


def _print(groups: _Groups, *, was_stopped: bool) -> None:
    console = new_console()
    for row in groups.rows():
        pixel = f"  pixel {row['pixel_id']}" if row["pixel_id"] else ""
        code = f"  {row['error_code']}" if row["error_code"] else ""
        console.print_line(
            Text.assemble((f"{row['count']:>7,}", "bold"), "  ", (str(row["reason"]), "bold red"), pixel, code)
        )
        console.print_line(Text(f"         {row['oldest']} to {row['newest']}"))
        parameters = row["error_parameters"]
        if isinstance(parameters, Mapping) and parameters:
            counted = ", ".join(f"{name} {count:,}" for name, count in parameters.items())
            console.print_line(Text(f"         about: {counted}"))
        sample = row["sample"]
        if isinstance(sample, Mapping) and sample["error_message"]:
            console.print_line(Text(f"         says: {sample['error_message']}"))
    stopped = " so far (stopped)" if was_stopped else ""
    console.print_line(Text(f"{groups.count:,} dead letter{'' if groups.count == 1 else 's'}{stopped}."))
