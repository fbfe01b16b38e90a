"""Our own lines: Cloud Logging's fields, the trace, what is left out; and the net under other people's text."""

import contextvars
import json
import math
import os
import re
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core import logs
from xcapi_core.logs.redaction import TracebackFilter
from xcapi_core.logs.streams import JsonStream

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail alice@example.com, bob+x%40sub.example.co.uk!", "mail [email], [email]!"),
        ("from 203.0.113.9:443", "from [ip]:443"),
        ("Listening at: http://127.0.0.1:8080 (12345)", "Listening at: http://127.0.0.1:8080 (12345)"),
        ("bound to 0.0.0.0", "bound to 0.0.0.0"),
        ("from 127.0.0.11", "from [ip]"),
        ("from 2001:db8::8a2e:370:7334 and ::1", "from [ip] and [ip]"),
        ("from 2001:0db8:0000:0000:0000:ff00:0042:8329", "from [ip]"),
        ("at 12:34:56 on 2026-04-20", "at 12:34:56 on 2026-04-20"),
        ("call +49 (151) 234-567-8 or 0151 234 567 89", "call [phone] or [phone]"),
        ("Worker (pid:1234567) exited with code 3", "Worker (pid:1234567) exited with code 3"),
        ("973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b", "[hex]"),
        ("973DFE463EC85785F5F95AF5BA3906EE.", "[hex]."),
        ('Authorization: OAuth oauth_consumer_key="a", oauth_signature="b%3D"', "Authorization [masked]"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization [masked]"),
        (
            'OAuth oauth_consumer_key="ab", oauth_nonce="cd"',
            'OAuth oauth_consumer_key=[masked]", oauth_nonce=[masked]"',
        ),
        ("sent Bearer abcdefgh.ijk-l", "sent Bearer [masked]"),
        ("X-Pixel-Token: abc", "X-Pixel-Token [masked]"),
        ("User-Agent: Mozilla/5.0 (X11; Linux)", "User-Agent [masked]"),
        ("client Mozilla/5.0 (X11; Linux) said\nno", "client [user agent]\nno"),
        ("access_token=abc&x=y", "access_token=[masked]&x=y"),
        ('{"consumer_secret": "abc", "n": 1}', '{"consumer_secret": "[masked]", "n": 1}'),
        ('{\\"twclid\\": \\"abc\\"}', '{\\"twclid\\": \\"[masked]\\"}'),
        ("twclid=abc", "twclid=[masked]"),
        ("ip_address=198.51.100.1", "ip_address=[masked]"),
        ("GET /12/x?twclid=abc&b=c HTTP/1.1", "GET /12/x?[query] HTTP/1.1"),
        ("is it?", "is it?"),
        ("key dGhpcyBpcyBhIHNlY3JldC90b2tlbg== used", "key [token] used"),
        ("key AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0xBeNU used", "key [token] used"),
        ("uvicorn_worker.UvicornWorker /usr/lib/python3.11/site-packages/functions_framework/aio/__init__.py",) * 2,
        ("Booting worker with pid: 12345", "Booting worker with pid: 12345"),
    ],
)
def test_text_of_others_loses_what_may_be_personal_or_secret(text: str, expected: str) -> None:
    assert logs.redact(text) == expected


def test_a_traceback_in_text_loses_the_exceptions_texts_and_the_code() -> None:
    text = """Exception on / [POST]
Traceback (most recent call last):
  File "/srv/main.py", line 3, in send
    raise ValueError("Wonderland")
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: Wonderland
and: Wonderland on more lines

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/main.py", line 5, in send
  + Exception Group Traceback (most recent call last):
  |   File "/srv/main.py", line 7, in send
  | ExceptionGroup: Wonderland (1 sub-exception)
xcapi.errors.Refused: Wonderland"""
    assert logs.redact(text).splitlines() == [
        "Exception on / [POST]",
        "Traceback (most recent call last):",
        '  File "/srv/main.py", line 3, in send',
        "ValueError: text withheld",
        "During handling of the above exception, another exception occurred:",
        "Traceback (most recent call last):",
        '  File "/srv/main.py", line 5, in send',
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "/srv/main.py", line 7, in send',
        "xcapi.errors.Refused: text withheld",
    ]


def test_a_long_text_is_cut_after_masking_and_never_through_a_word() -> None:
    assert len(logs.redact("word " * 10_000)) <= 2_001
    assert logs.redact("a" * 19_990 + " alice@example.com" + "m" * 100).find("alice") == -1
    assert logs.redact("x" * 30_000) == "[text of 30000 characters]"


def test_of_a_long_traceback_the_ends_are_kept() -> None:
    folder = "/a/deep/folder/" + "x" * 40
    frames = "".join(f'  File "{folder}/{n}.py", line {n}, in call_{n}\n    quoted\n' for n in range(99))
    shown = logs.redact(f"Exception on /\nTraceback (most recent call last):\n{frames}ValueError: alice").splitlines()
    assert sum(map(len, shown)) + len(shown) <= 2_000
    assert shown[0] == "Exception on /"
    assert "in call_0" in shown[2]
    assert "in call_98" in shown[-2]
    assert shown[-1] == "ValueError: text withheld"
    (gap,) = [line for line in shown if "left out" in line]
    assert gap == f"  [{99 + 3 - (len(shown) - 1)} lines left out]"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_redaction_takes_any_text_and_masked_text_stays_as_it_is_masked(text: str) -> None:
    assert "alice@example.com" not in logs.redact(f"{text} alice@example.com {text}")


@pytest.mark.parametrize(
    "part", ["a", "1", "a1", "a.b", ":", "ab:", "%40", "oauth_", "1.", "token", "1 ", "?a=", "a-", "Aa1/"]
)
def test_redaction_reads_hostile_text_in_time(part: str) -> None:
    """A pattern that backtracks over 20,000 characters would run into the suite's time-out."""
    for _ in range(20):
        logs.redact(part * (20_000 // len(part)))


def test_the_traceback_filter_takes_up_again_after_an_exceptions_text() -> None:
    reader = TracebackFilter()
    assert reader.keep("Traceback (most recent call last):")
    assert reader.keep("ValueError: Wonderland") == "ValueError: text withheld"
    assert reader.keep("more of it") is None
    reader.end()
    assert reader.keep("something else") == "something else"


def test_a_stream_makes_a_line_of_json_of_each_line_of_text(lines: Lines) -> None:
    stream = JsonStream("stdout", 1, "INFO")
    print("one\ntwo", file=stream)
    print("three", end="", file=stream)
    assert [line["message"] for line in lines()] == ["process.output: one", "process.output: two"]
    stream.flush()
    (line,) = lines()
    assert line["message"] == "process.output: three"
    assert (line["severity"], line["event"], line["stream"]) == ("INFO", "process.output", "stdout")
    stream.flush()
    print(file=stream)
    assert lines() == []


def test_a_stream_takes_bytes_and_lines_that_are_json_already(lines: Lines) -> None:
    stream = JsonStream("stderr", 2, "WARNING")
    stream.buffer.write(b"bytes \xff\n")
    stream.buffer.flush()
    stream.write('{"message": "from alice@example.com", "email": "alice@example.com"}\n{"other": 1}\n{no json}\n')
    assert [line["message"] for line in lines()] == [
        "process.output: bytes \ufffd",
        "process.output: from [email]",
        'process.output: {"other": 1}',
        "process.output: {no json}",
    ]


def test_a_line_without_end_is_not_kept_without_end(lines: Lines) -> None:
    stream = JsonStream("stdout", 1, "INFO")
    for _ in range(30):
        stream.write("x" * 5_000)
    assert [line["message"] for line in lines()] == ["process.output: [text of 105000 characters]"]
