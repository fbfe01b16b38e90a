"""How files are told apart and cut into what would be messages."""

import gzip
import io
import json
from typing import Any

import pytest

from xcapi_core.cli.validate import files
from xcapi_core.cli.validate.files import Chunk, InputError, InputFormat, read_chunks


def chunks(data: bytes, name: str = "-", form: InputFormat = "auto") -> list[Chunk]:
    return list(read_chunks(io.BytesIO(data), name, form))


def events(data: bytes, name: str = "-", form: InputFormat = "auto") -> list[tuple[int, Any]]:
    return [(chunk.line, json.loads(chunk.data)) for chunk in chunks(data, name, form)]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jsonl", b'{"n":1}\n\n  \n{"n":2}', [(1, {"n": 1}), (4, {"n": 2})]),
        ("a.jsonl", b'\n\r\n{"n":1}\r\n', [(3, {"n": 1})]),
        ("a.ndjson", b'[{"n":1}]\n', [(1, [{"n": 1}])]),
        ("a.json", b'{"n":1}\n{"n":2}\n', [(1, {"n": 1}), (2, {"n": 2})]),
        ("a.json", b'{\n "n": 1\n}\n', [(1, {"n": 1})]),
        ("a.json", b'[\n{"n":1},\n{"n":2}\n]', [(1, [{"n": 1}, {"n": 2}])]),
        ("-", b'\n\n[{"n":1},\n{"n":2}]', [(3, [{"n": 1}, {"n": 2}])]),
        ("-", b'\xef\xbb\xbf{"n":1}\n{"n":2}\n', [(1, {"n": 1}), (2, {"n": 2})]),
        ("-", b'{"n":1}', [(1, {"n": 1})]),
        ("-", b"event,twclid\npurchase,c1\n", [(2, {"event": "purchase", "twclid": "c1"})]),
        ("-", b'"event";"twclid"\npurchase;c1\n', [(2, {"event": "purchase", "twclid": "c1"})]),
        ("a.tsv", b"event\ttwclid\n\npurchase\tc,1\n", [(3, {"event": "purchase", "twclid": "c,1"})]),
        ("a.csv", b"\xef\xbb\xbf event ,,x\npurchase,7,\n", [(2, {"event": "purchase"})]),
        ("a.csv", b"event\npurchase\n", [(2, {"event": "purchase"})]),
        (
            "a.csv",
            b'event,d\np,"two\nlines"\nq,one\n',
            [(3, {"event": "p", "d": "two\nlines"}), (4, {"event": "q", "d": "one"})],
        ),
        ("a.csv", b'user.email,user.phone,user\n"a@b.c",1,x\n', [(2, {"user": "x"})]),
        ("a.csv", b"user,user.email\nx,a@b.c\n", [(2, {"user": {"email": "a@b.c"}})]),
        ("a.csv", b'items,v\n"[{""item_id"":""A""}]",{x\n', [(2, {"items": [{"item_id": "A"}], "v": "{x"})]),
        ("-", b"", []),
        ("-", b" \n\n", []),
        ("a.csv", b"event,twclid\n", []),
    ],
)
def test_files_become_events_at_their_lines(name: str, data: bytes, expected: object, compress: Any) -> None:
    assert events(compress(data), name) == expected
    if not name.startswith("-"):
        assert events(compress(data), f"{name}.gz") == expected


def test_format_can_be_said() -> None:
    assert events(b'{"n":1}\n', form="json") == [(1, {"n": 1})]
    assert chunks(b'{\n"n":1}', form="jsonl") == [Chunk(1, b"{"), Chunk(2, b'"n":1}')]
    assert events(b"event\npurchase", "a.json", "csv") == [(2, {"event": "purchase"})]


def test_row_of_too_many_cells_is_no_event_and_the_next_one_is() -> None:
    first, second = chunks(b"event,value\npurchase,5,50\npurchase,5.50\n", "a.csv")
    assert "more cells" in first.problem
    assert json.loads(second.data) == {"event": "purchase", "value": "5.50"}


def test_line_that_no_message_could_hold_is_told_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 20)
    first, second, third = chunks(b'{"n":1}\n' + b'{"n":"' + b"x" * 100 + b'"}\n{"n":3}\n', "a.jsonl")
    assert (first.data, third.data) == (b'{"n":1}', b'{"n":3}')
    assert (second.line, third.line) == (2, 3)
    assert "more than 20 bytes" in second.problem


def test_document_larger_than_memory_should_hold_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_DOCUMENT", 20)
    (chunk,) = chunks(b'[\n{"n":1},\n{"n":2},\n{"n":3}\n]')
    assert "an event a line" in chunk.problem


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b'{"n":1}\n' * 10_000)[:-20],
        gzip.compress(b'{"n":1}\n') + b"rubbish",
        b"\x1f\x8b" + b"no gzip at all",
    ],
)
def test_damaged_compression_is_said_so(data: bytes) -> None:
    with pytest.raises(InputError, match="damaged or cut off"):
        chunks(data)


def test_table_that_cannot_be_read_on_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 50)
    with pytest.raises(InputError, match="table"):
        chunks(b'event,d\npurchase,"' + b"x" * 100 + b'"\n', "a.csv")
