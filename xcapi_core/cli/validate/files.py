"""Files of events, line by line: JSON, JSON lines or CSV, compressed or not, in memory that does not grow with them."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, Any, Final, Literal

import msgspec

__all__ = ["Chunk", "InputError", "InputFormat", "read_chunks"]

InputFormat = Literal["auto", "json", "jsonl", "csv"]

# What a Pub/Sub message may hold; no event is larger.
LONGEST_LINE = 10_000_000
# A document is held as a whole: lines are for what is larger.
LARGEST_DOCUMENT = 200_000_000

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_LINES: Final = frozenset({".jsonl", ".ndjson", ".jsonlines"})
_TABLES: Final = frozenset({".csv", ".tsv"})
_DELIMITERS: Final = ("\t", ";", ",")
_TRUNCATED: Final = "Input data was truncated"  # msgspec's words for JSON that has no end yet


class InputError(Exception):
    """A file cannot be read on, and why; its text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What would be one message: a line, a row or a document. `problem` says why it cannot be one."""

    line: int
    data: bytes = field(default=b"", repr=False)
    problem: str = ""


def read_chunks(stream: IO[bytes], name: str, form: InputFormat) -> Iterator[Chunk]:
    """Read a file's chunks, blank lines left out.

    `name` is the file's name, whose ending tells the format where `form` is "auto" and it is a known one. Raises
    InputError.
    """
    buffered = _buffered(stream)
    try:
        if buffered.peek(2)[:2] == _GZIP:
            buffered = _buffered(gzip.open(buffered))  # noqa: SIM115 - ends with the stream below it, the caller's
        first = buffered.readline(LONGEST_LINE + 1)
        before = 1
        while first and not first.removeprefix(_BOM).strip(_SPACE):
            first = buffered.readline(LONGEST_LINE + 1)
            before += 1
        form = _told(first, name) if form == "auto" else form
        match form:
            case "csv":
                yield from _rows(first, buffered, before)
            case "json":
                yield _document(first, buffered, before)
            case _:
                yield from _lines(first, buffered, before)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError("compressed data that is damaged or cut off") from error
    except csv.Error as error:
        raise InputError("a table that cannot be read on") from error
    except OSError as error:
        raise InputError(error.strerror or "a file that cannot be read on") from error


def _buffered(stream: IO[bytes] | gzip.GzipFile) -> "io.BufferedReader[Any]":
    """Return a stream that can be looked ahead in; one that is buffered may be buffered again."""
    raw: Any = stream
    return io.BufferedReader(raw)


def _told(first: bytes, name: str) -> InputFormat:
    """Tell the format by the file's name, else by its first line."""
    ending = PurePath(name.lower().removesuffix(".gz")).suffix
    if ending in _LINES:
        return "jsonl"
    if ending in _TABLES:
        return "csv"
    text = first.removeprefix(_BOM).strip(_SPACE)
    if not text.startswith((b"{", b"[")) and ending != ".json":
        return "csv" if any(mark.encode() in text for mark in _DELIMITERS) else "jsonl"
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return "json" if str(error) == _TRUNCATED else "jsonl"
    except RecursionError:
        pass
    return "jsonl"  # bq writes lines into files called .json


def _document(first: bytes, stream: "io.BufferedReader[Any]", line: int) -> Chunk:
    data = first + stream.read(LARGEST_DOCUMENT + 1 - len(first))
    if len(data) > LARGEST_DOCUMENT:
        problem = f"one document of more than {LARGEST_DOCUMENT} bytes; write an event a line (jq -c '.[]')"
        return Chunk(line, problem=problem)
    return Chunk(line, data)


def _lines(first: bytes, stream: "io.BufferedReader[Any]", line: int) -> Iterator[Chunk]:
    data = first
    while data:
        if len(data) > LONGEST_LINE:
            yield Chunk(line, problem=f"a line of more than {LONGEST_LINE} bytes, which no message can hold")
            while data and not data.endswith(b"\n"):
                data = stream.readline(LONGEST_LINE)
        elif stripped := data.removeprefix(_BOM).strip(_SPACE):
            yield Chunk(line, stripped)
        data = stream.readline(LONGEST_LINE + 1)
        line += 1


def _rows(first: bytes, stream: "io.BufferedReader[Any]", line: int) -> Iterator[Chunk]:
    header = first.removeprefix(_BOM).decode("utf-8", "replace")
    delimiter = max(_DELIMITERS, key=header.count)
    csv.field_size_limit(LONGEST_LINE)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    rows = csv.reader(io.TextIOWrapper(stream, "utf-8", "replace", newline=""), delimiter=delimiter)
    for row in rows:
        at = line + rows.line_num
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(names):
            yield Chunk(at, problem="a row of more cells than the header has names: a cell with an unquoted delimiter?")
        else:
            yield Chunk(at, msgspec.json.encode(_event(names, row)))


def _event(names: Sequence[str], row: Sequence[str]) -> dict[str, object]:
    """Return a row as an event: empty cells left out, `user.email` nested, JSON in a cell as what it is."""
    event: dict[str, object] = {}
    for name, cell in zip(names, row, strict=False):
        if not name or not cell.strip():
            continue
        *path, last = name.split(".")
        place = event
        for part in path:
            child = place.get(part)
            if not isinstance(child, dict):
                child = place[part] = {}
            place = child
        place[last] = _value(cell)
    return event


def _value(cell: str) -> object:
    if not cell.lstrip().startswith(("{", "[")):
        return cell
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(cell)))
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return cell
