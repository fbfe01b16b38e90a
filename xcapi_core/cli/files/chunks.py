"""Files of events, line by line: JSON, JSON lines or CSV, compressed or not, in memory that does not grow with them."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Any, Final, Literal

import msgspec

from xcapi_core.cli.files.documents import expanded, read_document
from xcapi_core.cli.files.kinds import LATIN_1, foreign_kind
from xcapi_core.cli.files.records import LONGEST_MESSAGE, Chunk, InputError
from xcapi_core.cli.files.tables import DELIMITERS, read_rows

__all__ = ["Chunk", "InputError", "InputFormat", "read_chunks"]

InputFormat = Literal["auto", "json", "jsonl", "csv"]

# A message in a file: its data in base64, its attributes, and what JSON puts around them.
LONGEST_LINE: Final = 14_500_000

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_HEAD_BYTES: Final = 8_192
_LINES: Final = frozenset({".jsonl", ".ndjson", ".jsonlines"})
_TABLES: Final = frozenset({".csv", ".tsv"})
_TRUNCATED: Final = "Input data was truncated"  # msgspec's words for JSON that has no end yet


def read_chunks(stream: IO[bytes], name: str, form: InputFormat) -> Iterator[Chunk]:
    """Read a file's chunks, blank lines left out.

    `name` is the file's name, whose ending tells the format where `form` is "auto" and it is a known one. Raises
    InputError: where nothing is in it, where it is no file of events, or where it cannot be read on.
    """
    if stream.isatty():
        stream = io.BytesIO(stream.read())  # typed: a terminal that is read again after its end waits for another
    buffered = _buffered(stream)
    try:
        if buffered.peek(2)[:2] == _GZIP:
            buffered = _buffered(gzip.open(buffered))  # noqa: SIM115 - ends with the stream below, which is the caller's
        if kind := foreign_kind(buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES]):
            raise InputError(kind)
        yield from _chunks(buffered, name, form)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError("compressed data that is damaged or cut off") from error
    except OSError as error:
        raise InputError(error.strerror or "a file that cannot be read on") from error


def _chunks(buffered: "io.BufferedReader[Any]", name: str, form: InputFormat) -> Iterator[Chunk]:
    first = buffered.readline(LONGEST_LINE + 1)
    line = 1
    while first and not first.removeprefix(_BOM).strip(_SPACE):
        first = buffered.readline(LONGEST_LINE + 1)
        line += 1
    if not first:
        raise InputError("nothing in it: it is empty")
    if form == "auto":
        form = _told(first, name)
        if form == "jsonl" and not _may_hold_json(first, buffered):
            raise InputError("neither JSON nor a table with a header")
    if form == "jsonl" and first.removeprefix(_BOM).startswith(b"[") and not buffered.peek(_HEAD_BYTES).strip(_SPACE):
        form = "json"  # an array in one line, and nothing after it: its elements count, not its line
    match form:
        case "csv":
            yield from read_rows(first, buffered, line)
        case "json":
            yield from read_document(first, buffered, line)
        case _:
            yield from _lines(first, buffered, line)


def _buffered(stream: IO[bytes] | gzip.GzipFile) -> "io.BufferedReader[Any]":
    """Return a stream that can be looked ahead in; one that is buffered may be buffered again."""
    raw: Any = stream
    return io.BufferedReader(raw, _HEAD_BYTES)


def _told(first: bytes, name: str) -> InputFormat:
    """Tell the format by the file's name, else by its first line."""
    ending = PurePath(name.lower().removesuffix(".gz")).suffix
    text = first.removeprefix(_BOM).strip(_SPACE)
    if ending in _LINES:
        return "json" if text in (b"{", b"[") else "jsonl"  # a document over several lines, whatever it is called
    if ending in _TABLES:
        return "csv"
    if not text.startswith((b"{", b"[")) and ending != ".json":
        return "csv" if any(mark.encode() in text for mark in DELIMITERS) else "jsonl"
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return "json" if str(error) == _TRUNCATED else "jsonl"
    except RecursionError:
        pass
    return "jsonl"  # bq writes lines into files called .json


def _may_hold_json(first: bytes, stream: "io.BufferedReader[Any]") -> bool:
    lines = (first.removeprefix(_BOM), *stream.peek(_HEAD_BYTES)[:_HEAD_BYTES].split(b"\n"))
    return any(line.lstrip(_SPACE).startswith((b"{", b"[")) for line in lines)


def _lines(first: bytes, stream: "io.BufferedReader[Any]", line: int) -> Iterator[Chunk]:
    data = first
    while data:
        if len(data) > LONGEST_LINE:
            yield _too_long(line, LONGEST_LINE)
            while data and not data.endswith(b"\n"):
                data = stream.readline(LONGEST_LINE)
        elif stripped := data.removeprefix(_BOM).strip(_SPACE):
            yield from _of_line(Chunk(line, stripped, position=line))
        data = stream.readline(LONGEST_LINE + 1)
        line += 1


def _of_line(chunk: Chunk) -> Iterator[Chunk]:
    try:
        chunk.data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"line {chunk.line}: {LATIN_1}") from error
    messages = list(expanded(chunk))
    if messages:
        yield from messages
    else:
        yield chunk if len(chunk.data) <= LONGEST_MESSAGE else _too_long(chunk.line, LONGEST_MESSAGE)


def _too_long(line: int, limit: int) -> Chunk:
    problem = f"a line of more than {limit} bytes, which no message can hold; an array: jq -c '.[]' FILE"
    return Chunk(line, problem=problem, position=line)
