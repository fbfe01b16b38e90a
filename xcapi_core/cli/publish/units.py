"""A file as the units that are published: a line's object, a row, an array's element, a message in a file.

A unit is never cut: a body of several events stays one. Its position is what `--from-line` counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Final

from xcapi_core.cli.files import Chunk, InputFormat, read_chunks
from xcapi_core.cli.google.publishing import MAX_MESSAGE_BYTES, size_of
from xcapi_core.events.elements import UnsplittableError, array_elements
from xcapi_core.events.splitting import lone_format

__all__ = ["Pack", "packs_of", "units_of"]

_SPACE: Final = b" \t\r\n"
_RESERVED: Final = "goog"
_SCHEMA_ENCODING: Final = "googclient_schemaencoding"


def units_of(stream: IO[bytes], name: str, form: InputFormat) -> Iterator[Chunk]:
    """Yield a file's units in order, arrays taken apart. Raises InputError."""
    for chunk in read_chunks(stream, name, form):
        if chunk.problem or chunk.is_message or not chunk.data.lstrip(_SPACE).startswith(b"["):
            yield chunk
            continue
        try:
            elements = array_elements(chunk.data)
        except UnsplittableError:
            yield chunk
            continue
        counts = chunk.unit == "element"
        for index, element in enumerate(elements):
            position = chunk.position + index if counts else chunk.position
            yield replace(chunk, data=element, position=position, first_index=chunk.first_index + index)


@dataclass(slots=True)
class Pack:
    """One message. `through` is the last position of which this and the packs before it hold everything."""

    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    events: int
    through: int


def packs_of(
    units: Iterator[tuple[Chunk, int]], attributes: Mapping[str, str], events_per_message: int
) -> Iterator[Pack]:
    """Pack units, each with how many events it holds, by count and by Pub/Sub's bytes; one format a message.

    A message in a file stays a message of its own, with its attributes; those given win.
    """
    stated = attributes.get("format")
    waiting: list[bytes] = []
    events = size = 0
    form: str | None = None
    last = 0

    def flush(through: int) -> Iterator[Pack]:
        nonlocal waiting, events, size
        if waiting:
            data = waiting[0] if len(waiting) == 1 else b"[" + b",".join(waiting) + b"]"
            yield Pack(data, attributes, events, through)
        waiting, events, size = [], 0, 0

    for unit, count in units:
        # What came before this unit is whole where its position is another one.
        through = last if unit.position != last else last - 1
        if unit.is_message:
            yield from flush(through)
            yield Pack(unit.data, {**_publishable(unit.attributes), **attributes}, count, unit.position)
            last = unit.position
            continue
        own = stated or lone_format(unit.data)
        room = size_of(unit.data, attributes) + 1
        if waiting and (own != form or events + count > events_per_message or size + room > MAX_MESSAGE_BYTES):
            yield from flush(through)
        form = own
        waiting.append(unit.data)
        events += count
        size += room
        last = unit.position
    yield from flush(last)


def _publishable(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return a message's attributes without those that Pub/Sub reserves; the encoding goes on under our name."""
    kept = {key: value for key, value in attributes.items() if not key.startswith(_RESERVED)}
    if _SCHEMA_ENCODING in attributes:
        kept["xcapi_schema_encoding"] = attributes[_SCHEMA_ENCODING]
    return kept
