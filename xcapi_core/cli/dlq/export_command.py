"""`xcapi dlq export`: dead letters into a file that `validate` and `replay --from` read."""

import base64
import json
import os
import sys
from pathlib import Path
from typing import BinaryIO, Final

import click

from xcapi_core.cli.configuration import load_configuration
from xcapi_core.cli.dlq.choosing import Looking
from xcapi_core.cli.dlq.dead_letter import DeadLetter, as_text
from xcapi_core.cli.dlq.filters import Filters, filter_options
from xcapi_core.cli.dlq.session import Where, open_session, where_options
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.stop import INTERRUPTED

__all__ = ["envelope", "export"]


_HELP: Final = """Write dead letters to FILE, one push envelope a line; "-" is
standard output. Nothing is taken out.

\b
xcapi dlq export dead-letters.jsonl
xcapi validate dead-letters.jsonl
xcapi dlq replay --from dead-letters.jsonl

FILE holds personal data: only you can read it; delete it when
you are done. One that has something in it is not overwritten.

Exits with 0; 1 where Pub/Sub cannot be asked or FILE cannot
be written; 2 for wrong usage.
"""


def envelope(dead_letter: DeadLetter) -> bytes:
    """Return a dead letter as a push envelope: one line of JSON."""
    message: dict[str, object] = {
        "data": base64.b64encode(dead_letter.data).decode(),
        "attributes": dict(dead_letter.attributes),
        "messageId": dead_letter.message_id,
        "publishTime": as_text(dead_letter.publish_time),
    }
    if dead_letter.ordering_key:
        message["orderingKey"] = dead_letter.ordering_key
    return json.dumps({"message": message}, ensure_ascii=False).encode() + b"\n"


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True, path_type=str))
@where_options
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary (on standard error where FILE is -).")
def export(*, file: str, where: Where, filters: Filters, as_json: bool) -> None:
    """Export dead letters; see the help text above."""
    settings = load_configuration(where.config_file)
    stream = _opened(file)
    try:
        writing = Looking(filters, lambda dead_letter: _write(stream, dead_letter))
        with open_session(where, settings) as session:
            with Progressing(lambda: (writing.chosen, f"{writing.chosen:,} written")) as progress:
                session.sweep(writing.handle, progress.tick)
            was_stopped = session.stop.is_told
        stream.flush()
        if file != "-":
            os.fsync(stream.fileno())
    except OSError as error:
        if file == "-":
            raise
        raise click.ClickException(f"Cannot write {file}: {error.strerror}.") from error
    finally:
        if file != "-":
            stream.close()
    if as_json:
        click.echo(json.dumps({"summary": {"chosen": writing.chosen}}), err=file == "-")
    else:
        click.echo(f"{writing.chosen:,} dead letters written{' so far (stopped)' if was_stopped else ''}.", err=True)
    sys.exit(INTERRUPTED if was_stopped else 0)


def _write(stream: BinaryIO, dead_letter: DeadLetter) -> None:
    stream.write(envelope(dead_letter))


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdout.buffer
    path = Path(file)
    if path.is_file() and path.stat().st_size:
        raise click.ClickException(f"{file} has something in it, and may be somebody's only copy: choose another name.")
    try:
        # Nobody else's to read, from its first byte on; an empty file that is there has a mode of its own.
        stream = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        if path.is_file():
            os.fchmod(stream.fileno(), 0o600)
    except OSError as error:
        raise click.ClickException(f"Cannot write {file}: {error.strerror}.") from error
    return stream
