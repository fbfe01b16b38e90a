"""JSON that is read as a whole: one value over several lines, an array of events, a list of messages."""

import codecs
from collections.abc import Iterator
from typing import IO, Final, Literal

import msgspec

from xcapi_core.cli.files.envelopes import decoded_json, filed_message, filed_messages, may_be_filed
from xcapi_core.cli.files.json_problems import json_problem
from xcapi_core.cli.files.kinds import LATIN_1
from xcapi_core.cli.files.records import LONGEST_MESSAGE, Chunk, InputError

__all__ = ["expanded", "read_document"]

# A document is held as a whole: lines are for what is larger.
LARGEST_DOCUMENT: Final = 200_000_000
_ELEMENTS_A_PIECE: Final = 1_000
_STEP_BYTES: Final = 1_000_000

_SPACE: Final = b" \t\r\n"
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def read_document(first: bytes, stream: IO[bytes], line: int) -> Iterator[Chunk]:
    """Read what `first`, in `line`, is the beginning of. Raises InputError."""
    data = first + stream.read(LARGEST_DOCUMENT + 1 - len(first))
    if len(data) > LARGEST_DOCUMENT:
        problem = (
            f"one document of more than {LARGEST_DOCUMENT} bytes; "
            "write an event a line (an array: jq -c '.[]' FILE, values one after the other: jq -c . FILE)"
        )
        yield Chunk(line, problem=problem, position=1, unit="element")
        return
    _refuse_other_encodings(data)
    unit: Literal["line", "element"] = "element" if data.lstrip(_SPACE).startswith(b"[") else "line"
    chunk = Chunk(line, data, position=1 if unit == "element" else line, unit=unit)
    if messages := list(expanded(chunk)):
        yield from messages
    elif len(data) > LONGEST_MESSAGE and unit == "element":
        yield from _pieces(chunk)
    else:
        yield chunk


def _refuse_other_encodings(data: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _STEP_BYTES):
            decoder.decode(data[start : start + _STEP_BYTES], final=start + _STEP_BYTES >= len(data))
    except UnicodeDecodeError as error:
        raise InputError(LATIN_1) from error


def expanded(chunk: Chunk) -> Iterator[Chunk]:
    """Yield a chunk for each message that it holds as a push envelope or dead letter; nothing where it holds none."""
    if not may_be_filed(chunk.data):
        return
    value = decoded_json(chunk.data)
    messages = filed_messages(value)
    if messages is None:
        messages = [value] if filed_message(value) else []
    for number, element in enumerate(messages, start=1):
        message = filed_message(element)
        # A document's messages are its elements; those of one line share that line.
        position = number if chunk.unit == "element" else chunk.position
        line = number if chunk.unit == "element" else chunk.line
        if message is None or message.problem:
            problem = message.problem if message else "no message, among messages"
            yield Chunk(line, problem=problem, position=position, unit=chunk.unit)
        else:
            yield Chunk(
                line,
                message.data,
                position=position,
                unit=chunk.unit,
                is_message=True,
                attributes=message.attributes,
                message_id=message.message_id,
                publish_time=message.publish_time,
            )


def _pieces(chunk: Chunk) -> Iterator[Chunk]:
    """Cut an array that no message can hold into arrays that one can."""
    try:
        elements = _elements.decode(chunk.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield Chunk(chunk.line, problem=json_problem(chunk.data, chunk.line), position=1, unit="element")
        return
    for start in range(0, len(elements), _ELEMENTS_A_PIECE):
        piece = b"[" + b",".join(bytes(element) for element in elements[start : start + _ELEMENTS_A_PIECE]) + b"]"
        yield Chunk(chunk.line, piece, position=start + 1, unit="element", first_index=start)
