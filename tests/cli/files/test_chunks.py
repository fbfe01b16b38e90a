"""How files are told apart and cut into what would be messages."""

import gzip
import io
import json
import re
from typing import Any

import pytest

from xcapi_core.cli.files import Chunk, InputError, InputFormat, documents, json_problem, read_chunks, tables
from xcapi_core.cli.files import chunks as files


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
        (
            "a.csv",
            b"Event Name; E-Mail ;ORDER ID\np;a@b.c;1",
            [(2, {"event_name": "p", "email": "a@b.c", "order_id": "1"})],
        ),
        ("a.csv", b"Email,email,User.E-mail\nx,y,z", [(2, {"Email": "x", "email": "y", "user": {"email": "z"}})]),
        ("a.csv", b"Event,My Column\np,1\n", [(2, {"event": "p", "My Column": "1"})]),
        ("a.csv", b"event,orderId,messageId\np,1,2\n", [(2, {"event": "p", "orderId": "1", "messageId": "2"})]),
        ("a.jsonl", b'[\n{"n":1}\n]\n', [(1, [{"n": 1}])]),
        ("-", b'[{"n":1},{"n":2}]\n \n', [(1, [{"n": 1}, {"n": 2}])]),
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
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 20)
    (chunk,) = chunks(b'[\n{"n":1},\n{"n":2},\n{"n":3}\n]')
    assert "an event a line" in chunk.problem


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b'{"n":1}\n' * 10_000)[:-20],
        gzip.compress(b'{"n":1}\n') + b"rubbish",
        b"\x1f\x8b" + b"no gzip at all",
    ],
    ids=["cut off", "rubbish behind it", "no gzip at all"],
)
def test_damaged_compression_is_said_so(data: bytes) -> None:
    with pytest.raises(InputError, match="damaged or cut off"):
        chunks(data)


def test_table_that_cannot_be_read_on_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LONGEST_MESSAGE", 50)
    with pytest.raises(InputError, match="table"):
        chunks(b'event,d\npurchase,"' + b"x" * 100 + b'"\n', "a.csv")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (b"event,twclid\n", "only its header"),
        (b"event,twclid\n\n ,\n", "only its header"),
        (b'event,d\np,1\np,"cut', "row 2 ends inside quotes"),
        (b'event,d\np,1\np,"cut\nq,2\n', "row 2 ends inside quotes"),
        (b"one,two\n1,2\n", "whose header names a field"),
        (b"Dear Jane, hello\nyour order\n", "neither JSON nor a table"),
        (b"hello\nworld\n", "neither JSON nor a table"),
        (b"PK\x03\x04\x14\x00[Content_Types].xml", "xlsx"),
        (b"PK\x03\x04\x14\x00events.jsonl", "zip archive"),
        ('{"event":"purchase"}'.encode("utf-16"), "UTF-16"),
        ('{"event":"purchase"}'.encode("utf-16-le"), "UTF-16"),
        ("event,email\np,1\n".encode("utf-16-be"), "UTF-16"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "an executable"),
        (b"MZ\x90\x00\x03\x00", "an executable"),
        (b"\x00\x01\x02", "binary"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"<!DOCTYPE html><html>", "HTML"),
        ('{"event":"purchase"}\n{"event":"caf\u00e9"}\n'.encode("latin-1"), "line 2: not in UTF-8 .* Latin-1"),
        ('[\n{"event":"caf\u00e9"}\n]'.encode("latin-1"), "Latin-1"),
        ("event,d\np,1\np,caf\u00e9\n".encode("latin-1"), "Latin-1"),
        ("event,d\u00e9\np,1\n".encode("latin-1"), "Latin-1"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_file_without_events_is_named_in_one_sentence(data: bytes, problem: str, compress: Any) -> None:
    with pytest.raises(InputError, match=problem):
        chunks(compress(data))


def test_header_of_a_table_may_start_like_the_magic_of_another_file() -> None:
    assert events(b"ORC,event\n1,p\n") == [(2, {"ORC": "1", "event": "p"})]


MESSAGE = {"data": "eyJldmVudCI6InDDv8O_In0=", "attributes": {"xcapi_reason": "rejected"}, "messageId": "7"}


@pytest.mark.parametrize(
    "written",
    [
        {"message": MESSAGE},
        {"message": MESSAGE, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 1},
        {"ackId": "a", "message": {**MESSAGE, "data": "eyJldmVudCI6InDDv8O_In0"}},
        {"message": {**MESSAGE, "data": "eyJldmVudCI6InDDv8O/In0="}},
        MESSAGE,
    ],
)
def test_messages_in_files_are_read_with_their_attributes(written: dict[str, object]) -> None:
    line = json.dumps(written).encode()
    for data in (line, line + b"\n" + line, json.dumps([written], indent=2).encode()):
        for chunk in chunks(data):
            assert json.loads(chunk.data) == {"event": "p\u00ff\u00ff"}
            assert (chunk.attributes, chunk.message_id) == ({"xcapi_reason": "rejected"}, "7")
    received = json.dumps({"receivedMessages": [{"ackId": "b", "message": MESSAGE}] * 3}, indent=1).encode()
    assert [chunk.position for chunk in chunks(json.dumps([written] * 3).encode())] == [1, 2, 3]
    assert len(chunks(received)) == 3


def test_message_in_a_file_that_cannot_be_read_is_one_problem() -> None:
    lines = b'{"message":{"data":"%%%"}}\n{"message":{"attributes":{"a":1}}}\n{"message":{"attributes":{"a":"1"}}}\n'
    first, second, third = chunks(lines)
    assert ("base64" in first.problem, "attributes" in second.problem, third.problem) == (True, True, "")


@pytest.mark.parametrize(
    "event",
    [
        {"event": "purchase", "message": {"data": "x"}},
        {"message": "hello"},
        {"message": {"text": "x"}},
        {"data": "e30="},
    ],
)
def test_event_with_a_field_called_message_stays_an_event(event: dict[str, object]) -> None:
    assert events(json.dumps(event).encode()) == [(1, event)]


def test_array_that_no_message_can_hold_is_read_in_pieces() -> None:
    count = 2_500
    data = json.dumps([{"n": number, "pad": "x" * 5_000} for number in range(count)]).encode()
    pieces = chunks(data)
    assert [(piece.first_index, piece.position, piece.unit) for piece in pieces] == [
        (0, 1, "element"),
        (1_000, 1_001, "element"),
        (2_000, 2_001, "element"),
    ]
    assert [event["n"] for piece in pieces for event in json.loads(piece.data)] == list(range(count))


def test_positions_count_rows_without_the_header_lines_and_elements() -> None:
    assert [chunk.position for chunk in chunks(b'event,d\np,"a\nb"\np,1\n')] == [1, 2]
    assert [chunk.position for chunk in chunks(b'\n{"n":1}\n\n{"n":2}\n')] == [2, 4]
    assert [chunk.unit for chunk in chunks(b'[{"n":1},{"n":2}]')] == ["element"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,}', "line 1, column .*: a trailing comma"),
        ('{\n "a": [1, 2, ]\n}', "line 2, column .*: a trailing comma"),
        ("{'a': 1}", "line 1, column 2: single quotes"),
        ("{\"a\": 'x'}", "line 1, column 7: single quotes"),
        ('{"a": NaN}', "line 1, column 7: NaN or Infinity"),
        ('{"NaN": 1,\n"a": -Infinity}', "line 2, column 6: NaN or Infinity"),
        ('{"a": None}', "Python's None"),
        ('{"a": undefined}', "undefined"),
        ('{"a": 1} // note', "a comment"),
        ('{"a": 1}\n{"a": 2}', "line 2, column 1: more after the end"),
        ('{"a": 1', "ends too early"),
        ('{"a": "x', "no end"),
        ('{"a": 1 "b": 2}', "a missing comma"),
        ("{a: 1}", "a name without quotes"),
        ("{\u201ca\u201d: 1}", "typographic"),
        ('{"a" 1}', "a colon"),
        ('{"a": "\\x"}', "a backslash"),
        ('{"a": "x\ny"}', "a line break"),
        ("[" * 100_000, "nested too deeply|ends too early"),
        ('{"a": =}', "not JSON"),
        ('{"a": 1}', ""),
    ],
)
def test_json_that_does_not_parse_is_told_its_place_and_usual_cause(text: str, problem: str) -> None:
    assert re.search(problem or "^$", json_problem(text.encode()))


def test_place_counts_from_where_the_text_stands_in_its_file() -> None:
    assert json_problem(b"{\n,", 10).startswith("line 11, column 1")
    assert json_problem(b"{}\n\xff", 10).startswith("line 11: bytes that are no UTF-8")
