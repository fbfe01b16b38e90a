"""Dead letters out of a file that `xcapi dlq export` wrote."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import click

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.replaying import Replay
from xcapi_core.cli.files import Chunk, InputError, read_chunks
from xcapi_core.origins import parse_publish_time

__all__ = ["replay_file"]

_A_PORTION: Final = 500


class _File:
    """A file of dead letters as what a replay takes them from."""

    def __init__(self) -> None:
        self.is_finished = False

    def finish(self) -> None:
        self.is_finished = True


def replay_file(file: str, from_line: int, run: Replay) -> Iterator[int]:
    """Send a file's dead letters; yield the line up to which all is done, portion by portion."""
    source = _File()
    portion: list[DeadLetter] = []
    position = 0
    try:
        with click.open_file(file, "rb") as stream:
            for chunk in read_chunks(stream, file, "auto"):
                if chunk.position < from_line:
                    continue
                if len(portion) >= min(_A_PORTION, run.pace.portion) and chunk.position != position:
                    run.handle(portion, source)
                    if run.stop.is_told or source.is_finished:
                        return
                    yield position
                    portion = []
                portion.append(_of_chunk(chunk, file))
                position = chunk.position
        run.handle(portion, source)
        if not run.stop.is_told:
            yield position
    except (InputError, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from error


def _of_chunk(chunk: Chunk, file: str) -> DeadLetter:
    if chunk.problem or not chunk.is_message:
        problem = chunk.problem or "no dead letter; xcapi publish sends events"
        raise click.ClickException(f"{file}, line {chunk.line}: {problem}")
    return DeadLetter(
        message_id=chunk.message_id or f"of line {chunk.line}",
        data=chunk.data,
        attributes=chunk.attributes,
        publish_time=parse_publish_time(chunk.publish_time) or datetime.now(UTC),
    )
