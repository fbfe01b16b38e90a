"""CSV: a row is an event, and the header names its fields."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO, Final

import msgspec

from xcapi_core.cli.files.field_names import KNOWN_FIELDS, as_known
from xcapi_core.cli.files.kinds import LATIN_1
from xcapi_core.cli.files.records import LONGEST_MESSAGE, Chunk, InputError

__all__ = ["DELIMITERS", "read_rows"]

DELIMITERS: Final = ("\t", ";", ",")
# A last line of ours: a cell whose quote never closes swallows it, and so tells that the table is cut off.
_END: Final = "\x00end of the table\x00"


def read_rows(header: bytes, stream: IO[bytes], line: int) -> Iterator[Chunk]:
    """Read the rows below `header`, which stands in `line`. Raises InputError."""
    try:
        text = header.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(LATIN_1) from error
    delimiter = max(DELIMITERS, key=text.count)
    csv.field_size_limit(LONGEST_MESSAGE)
    names = _field_names(next(csv.reader([text], delimiter=delimiter), []))
    lines = _until_the_end(io.TextIOWrapper(stream, "utf-8", newline=""))
    rows = csv.reader(lines, delimiter=delimiter)
    row_number = count = 0
    while True:
        row_number += 1
        try:
            row = next(rows, None)
        except UnicodeDecodeError as error:
            raise InputError(f"near row {row_number}: {LATIN_1}") from error
        except csv.Error as error:
            raise InputError(f"row {row_number}: a table that cannot be read on; is a quote missing?") from error
        if row is None or any(_END in cell for cell in row[-1:]):
            if row is not None and row != [_END]:
                raise InputError(f"row {row_number} ends inside quotes: the table is cut off, or a quote is missing")
            break
        if not any(cell.strip() for cell in row):
            continue
        count += 1
        at = line + rows.line_num
        if len(row) > len(names):
            problem = "a row of more cells than the header has names: a cell with an unquoted delimiter?"
            yield Chunk(at, problem=problem, position=row_number, unit="row")
        else:
            yield Chunk(at, msgspec.json.encode(_event(names, row)), position=row_number, unit="row")
    if not count:
        raise InputError("a table without a row: there is only its header")


def _until_the_end(stream: io.TextIOWrapper) -> Iterator[str]:
    yield from stream
    yield _END


def _field_names(header: Sequence[str]) -> list[str]:
    given = [name.strip() for name in header]
    known = [as_known(name) for name in given]
    # A column that is spelled exactly keeps its name for itself.
    names = [new if new == old or new not in given else old for old, new in zip(given, known, strict=True)]
    if not any(name.partition(".")[0] in KNOWN_FIELDS for name in names):
        raise InputError("neither JSON nor a table whose header names a field that is read (event_name, email, …)")
    return names


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
