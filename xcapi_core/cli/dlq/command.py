"""The group `xcapi dlq`."""

from collections.abc import Mapping
from typing import Final

import click

from xcapi_core.cli.group import Entry, LazyGroup

__all__ = ["dlq"]

_HERE: Final = "xcapi_core.cli.dlq"
# In the order in which somebody on call needs them.
_COMMANDS: Final[Mapping[str, Entry]] = {
    "list": Entry(f"{_HERE}.list_command", "list_", "How many there are, by reason, pixel and X's words."),
    "show": Entry(f"{_HERE}.show_command", "show", "The dead letters themselves, and what is wrong with them now."),
    "export": Entry(f"{_HERE}.export_command", "export", "Write them to a file, as JSON lines."),
    "replay": Entry(f"{_HERE}.replay_command", "replay", "Send them again, mended if need be."),
    "discard": Entry(f"{_HERE}.discard_command", "discard", "Delete them for good; --email finds one person's."),
}

_HELP: Final = """Look at dead letters, send them again, or delete them.

A dead letter is an event that could not be delivered, with
the reason in its attributes; it waits in the subscription of
the configuration's dead_letter_topic.

\b
xcapi dlq list
xcapi dlq show --reason rejected --limit 5
xcapi dlq replay --reason unauthorized

While a command runs, nobody else sees the dead letters that
it holds. What it does not take, it gives back at the end.
"""


@click.group(cls=LazyGroup, entries=_COMMANDS, help=_HELP)
def dlq() -> None:
    """Hold the commands; see the help text above."""
