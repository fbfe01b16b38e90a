"""Our own lines: Cloud Logging's fields, the trace, and what is left out."""

import contextvars
import json
import math
import os
import re
import threading
import traceback
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core import logs
from xcapi_core.logs.capture import JsonStream

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def fail(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return the exception with a traceback."""
    with pytest.raises(type(error)) as caught:
        fail(error, cause)
    return caught.value


def test_a_line_has_cloud_loggings_fields_and_the_events_own(lines: Lines) -> None:
    logs.emit(
        "INFO", "batch.delivered", pixel_id="o8z6j", conversions=500, duration_ms=21.5, retried=False, debug_id=None
    )
    (line,) = lines()
    assert datetime.fromisoformat(str(line.pop("time"))).tzinfo is not None
    assert line == {
        "severity": "INFO",
        "message": "batch.delivered pixel_id=o8z6j conversions=500 duration_ms=21.5 retried=False",
        "event": "batch.delivered",
        "pixel_id": "o8z6j",
        "conversions": 500,
        "duration_ms": 21.5,
        "retried": False,
        "debug_id": None,
    }


def test_a_trace_joins_a_requests_lines_and_no_others(lines: Lines) -> None:
    def request() -> None:
        logs.set_trace("projects/p/traces/0af7651916cd43dd8448eb211c80319c")
        logs.emit("INFO", "a.b")

    contextvars.copy_context().run(request)
    logs.emit("INFO", "a.b")
    first, second = lines()
    assert first["logging.googleapis.com/trace"] == "projects/p/traces/0af7651916cd43dd8448eb211c80319c"
    assert "logging.googleapis.com/trace" not in second


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "project", "expected"),
    [
        ({"x-cloud-trace-context": f"{TRACE}/123;o=1"}, "p", f"projects/p/traces/{TRACE}"),
        ({"x-cloud-trace-context": TRACE.upper()}, "p", f"projects/p/traces/{TRACE}"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, "p", f"projects/p/traces/{TRACE}"),
        (
            {"x-cloud-trace-context": "?", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            "p",
            f"projects/p/traces/{TRACE}",
        ),
        ({}, "p", None),
        ({"x-cloud-trace-context": TRACE}, None, None),
        ({"x-cloud-trace-context": TRACE}, "", None),
        ({"x-cloud-trace-context": "alice@example.com"}, "p", None),
        ({"x-cloud-trace-context": "0" * 32}, "p", None),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, "p", None),
        ({"traceparent": TRACE}, "p", None),
    ],
)
def test_the_trace_comes_from_either_header(headers: dict[str, str], project: str | None, expected: str | None) -> None:
    assert logs.trace_from_headers(headers, project) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("email", "hashed_email", "phone", "ip", "ip_address", "user_agent", "twclid", "oauth_signature"),
        *("authorization", "consumer_key", "consumer_secret", "access_token", "pixel_token", "password", "payload"),
        *("body", "data"),
    ],
)
def test_a_text_field_named_like_a_secret_is_left_out_and_told(name: str, lines: Lines) -> None:
    logs.emit("INFO", "a.b", **{name: "Wonderland"})
    (line,) = lines()
    assert "Wonderland" not in json.dumps(line)
    assert line["hidden_fields"] == name


def test_counts_and_descriptions_of_secrets_are_shown(lines: Lines) -> None:
    logs.emit("INFO", "a.b", invalid_email=3, secret_version="projects/p/secrets/s/versions/7", token_kind="oauth")
    (line,) = lines()
    assert (line["invalid_email"], line["token_kind"]) == (3, "oauth")
    assert line["secret_version"] == "projects/p/secrets/s/versions/7"


def test_identifiers_in_a_text_field_are_masked(lines: Lines) -> None:
    digest = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
    logs.emit("INFO", "a.b", cause=f"alice@example.com {digest} oauth_token=abc")
    (line,) = lines()
    assert line["cause"] == "[email] [hex] oauth_token=[masked]"


def test_the_lines_own_fields_cannot_be_overwritten(lines: Lines) -> None:
    logs.emit("INFO", "a.b", message="x", time="y", event="z", severity="w", stack_trace="v")
    (line,) = lines()
    assert (line["severity"], line["event"]) == ("INFO", "a.b")
    assert line["hidden_fields"] == "event,message,severity,stack_trace,time"


@pytest.mark.parametrize(
    ("value", "expected"), [(math.nan, "nan"), (math.inf, "inf"), ("\ud800", "\ud800"), ("a\nb\x00é", "a\nb\x00é")]
)
def test_any_value_makes_one_line_of_json(value: logs.Scalar, expected: object, lines: Lines) -> None:
    logs.emit("INFO", "a.b", value=value)
    assert lines()[0]["value"] == expected


class _Word(str):
    """A text that is no plain str, as enumerations' members and libraries' texts are."""

    __slots__ = ()


def test_a_text_of_a_type_of_its_own_makes_a_line_of_json(lines: Lines) -> None:
    logs.emit("INFO", "a.b", value=_Word("plain"), half=_Word("\ud800"))
    (line,) = lines()
    assert (line["value"], line["half"]) == ("plain", "\ud800")


def test_a_value_of_another_type_is_left_out(lines: Lines) -> None:
    logs.emit("INFO", "a.b", event_of_user={"email": "alice@example.com"})  # type: ignore[arg-type]  # on purpose
    assert "alice" not in json.dumps(lines())


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.integers() | st.booleans() | st.none(), max_size=4))
def test_no_field_stops_a_line_or_splits_it(fields: dict[str, logs.Scalar]) -> None:
    read_end, write_end = os.pipe()
    kept = os.dup(1)
    os.dup2(write_end, 1)
    try:
        logs.emit("INFO", "a.b", **fields)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write_end)
    with os.fdopen(read_end, "rb") as written:
        (line,) = written.read().splitlines(keepends=True)
    assert line.endswith(b"\n")
    assert json.loads(line, parse_constant=pytest.fail)["event"] == "a.b"


def test_lines_of_many_threads_stay_whole(lines: Lines) -> None:
    def speak(number: int) -> None:
        for _ in range(50):
            logs.emit("INFO", "a.b", number=number, text="x" * 2_000)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(line["number"]) for line in lines()) == sorted("0123" * 50)


def test_a_full_pipe_that_does_not_block_is_waited_for() -> None:
    """A log reader that is slow, at the other end of a pipe that somebody else made non-blocking."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    received = bytearray()

    def read() -> None:
        while part := os.read(read_end, 65_536):
            received.extend(part)

    kept = os.dup(1)
    os.dup2(write_end, 1)
    reader = threading.Thread(target=read)
    try:
        reader.start()
        for _ in range(200):
            logs.emit("INFO", "a.b", text="x" * 10_000)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write_end)
        reader.join()
        os.close(read_end)
    assert [json.loads(line)["event"] for line in received.splitlines()] == ["a.b"] * 200


def test_nobody_listening_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    kept = os.dup(1)
    os.dup2(write_end, 1)
    try:
        logs.emit("INFO", "a.b")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write_end)


def test_an_exception_is_told_by_types_and_places_only(lines: Lines) -> None:
    error = raised(ValueError("alice@example.com Wonderland"))
    logs.emit("ERROR", "delivery.crashed", error, message_id="7")
    (line,) = lines()
    assert line["message"] == "delivery.crashed message_id=7 error=ValueError"
    first, *_, place, last = str(line["stack_trace"]).splitlines()
    assert first == "Traceback (most recent call last):"
    assert re.fullmatch(r'  File ".*test_lines\.py", line \d+, in fail', place)
    assert last == "ValueError: text withheld"


def test_causes_come_first_as_python_has_it() -> None:
    error = raised(ValueError("Wonderland"), cause=raised(KeyError("Wonderland")))
    error_while_handling = raised(json.JSONDecodeError("Wonderland", "", 0))
    error_while_handling.__context__, error_while_handling.__suppress_context__ = error, False
    told = logs.format_exception(error_while_handling)
    assert [line for line in told.splitlines() if line and not line.startswith(("Traceback", " "))] == [
        "KeyError: text withheld",
        "The above exception was the direct cause of the following exception:",
        "ValueError: text withheld",
        "During handling of the above exception, another exception occurred:",
        "json.decoder.JSONDecodeError: text withheld",
    ]


def test_a_suppressed_context_stays_suppressed_and_a_circle_ends() -> None:
    error = raised(ValueError("b"))
    error.__context__, error.__suppress_context__ = KeyError("a"), True  # raise … from None
    assert "KeyError" not in logs.format_exception(error)
    first, second = ValueError("a"), TypeError("b")
    first.__cause__, second.__cause__ = second, first
    assert logs.format_exception(first).splitlines()[-1] == "ValueError: text withheld"


def test_a_group_tells_its_members_types() -> None:
    group = ExceptionGroup("Wonderland", [ValueError("alice"), TypeError("bob"), ValueError("carol")])
    assert logs.format_exception(group) == "ExceptionGroup: text withheld of TypeError, ValueError"


def test_a_deep_stack_and_a_long_chain_stay_readable() -> None:
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        raise ValueError("Wonderland")

    def chain(depth: int) -> None:
        try:
            dive(50) if depth == 0 else chain(depth - 1)
        except ValueError as error:
            raise ValueError("Wonderland") from error

    with pytest.raises(ValueError, match="Wonderland") as caught:
        chain(30)
    told = logs.format_exception(caught.value)
    assert len(told) < 4_000
    assert told.endswith("ValueError: text withheld")


def test_a_stream_tells_where_something_was_printed_and_none_of_it(lines: Lines) -> None:
    stream = JsonStream("stdout", 1, "INFO")
    print("alice@example.com\ntwo", file=stream)
    print("three", end="", file=stream)
    (line,) = lines()
    assert (line["severity"], line["event"], line["stream"]) == ("INFO", "process.output", "stdout")
    assert line["characters"] == len("alice@example.com\ntwo\n")
    assert re.fullmatch(r".*test_lines\.py:[0-9]+ in test_a_stream_tells_where.*", str(line["location"]))
    assert "alice" not in json.dumps(line)
    stream.flush()
    (line,) = lines()
    assert line["characters"] == len("three")
    stream.flush()
    assert lines() == []


def test_a_stream_takes_bytes(lines: Lines) -> None:
    stream = JsonStream("stderr", 2, "WARNING")
    stream.buffer.write(b"bytes \xff\n")
    stream.buffer.flush()
    (line,) = lines()
    assert (line["severity"], line["characters"]) == ("WARNING", 8)


def test_a_printed_traceback_is_told_by_its_printer_and_the_exceptions_type(lines: Lines) -> None:
    stream = JsonStream("stderr", 2, "WARNING")
    try:
        fail(ValueError("Wonderland"))
    except ValueError:
        traceback.print_exc(file=stream)
    told = lines()
    assert {line["error"] for line in told} == {"ValueError"}
    assert all("in test_a_printed_traceback" in str(line["location"]) for line in told)
    assert "Wonderland" not in json.dumps(told)
