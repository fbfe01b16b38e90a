"""Everything that a process writes under the real Functions Framework is JSON lines with nothing personal in them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xcapi_core.sandbox.services.ports import free_port

ROOT = Path(__file__).parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"
WHATS = (
    *("emit", "raise", "print", "partial", "bytes", "print_exc", "chained", "logging", "logged_exception"),
    *("bad_arguments", "debug_libraries", "warn", "thread", "task", "unraisable", "long"),
)
SECRETS = ("alice@example.com", "203.0.113.77", "+4915112345678", "s3cr3t-signature", "Mozilla/5.0", "Wonderland")

FUNCTION = """
from xcapi_core import logs
logs.install()

import asyncio, ctypes, logging, os, sys, threading, traceback, warnings
import functions_framework.aio
from starlette.responses import Response

TEXT = "Wonderland alice@example.com 203.0.113.77 +4915112345678 oauth_signature=s3cr3t-signature Mozilla/5.0 (X11)"

def fail():
    raise ValueError(TEXT + "\\nalice@example.com: second line, Wonderland")

async def task():
    fail()

class Unraisable:
    def __del__(self):
        fail()

@functions_framework.aio.http
async def speak(request):
    logs.set_trace(logs.trace_from_headers(request.headers, "my-project"))
    what = request.url.path.strip("/")
    match what:
        case "emit": logs.emit("INFO", "batch.delivered", conversions=500, email="alice@example.com")
        case "raise": fail()
        case "print": print("printed\\n" * 2, TEXT.replace("Wonderland", ""))
        case "partial": sys.stderr.write("no end of line")
        case "bytes": sys.stdout.buffer.write(b"bytes printed\\n")
        case "print_exc":
            try: fail()
            except ValueError: traceback.print_exc()
        case "chained":
            try: fail()
            except ValueError as error:
                raise RuntimeError(TEXT) from error
        case "logging": logging.getLogger("somebody").warning("careful: %s", TEXT.replace("Wonderland", ""))
        case "logged_exception":
            try: fail()
            except ValueError as error: logging.getLogger("somebody").exception("failed: %s", error)
        case "bad_arguments": logging.getLogger("somebody").error("%d", TEXT)
        case "debug_libraries":
            for name in ("oauthlib.oauth1", "requests_oauthlib", "urllib3.connectionpool", "google.auth", "grpc._x"):
                logging.getLogger(name).debug(TEXT)
                logging.getLogger(name).warning("library speaks")
        case "warn": warnings.warn("a warning", stacklevel=1)
        case "thread":
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
        case "task":
            asyncio.ensure_future(task())
            await asyncio.sleep(0.05)
            import gc; gc.collect()
        case "unraisable": Unraisable()
        case "long": print("x" * 300_000)
    return Response(what)
"""


@contextmanager
def framework(source: Path, *options: str, **environment: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "functions_framework", "--target=speak", f"--source={source}"),
            *("--host=127.0.0.1", f"--port={port}", *options),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": str(source.parent),  # for gunicorn's control socket, else in the home
            "GUNICORN_LOG_LEVEL": "debug",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield port, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def get(port: int, path: str) -> int:
    headers = {"X-Cloud-Trace-Context": f"{TRACE}/1;o=1", "User-Agent": "Mozilla/5.0"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}?email=alice@example.com", headers=headers)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def entries(output: bytes) -> list[dict[str, Any]]:
    """Return the output's lines, all of which are JSON in our fields and hold nothing that the function was told."""
    text = output.decode()
    for secret in SECRETS:
        assert secret not in text, [line for line in text.splitlines() if secret in line]
    found = [json.loads(line) for line in text.splitlines()]
    for entry in found:
        assert {"severity", "time", "message", "event"} <= entry.keys()
        assert entry["message"].startswith(entry["event"])
    return found


def spoken(source: Path, *options: str, **environment: str) -> list[dict[str, Any]]:
    with framework(source, *options, **environment) as (port, process):
        statuses = {what: get(port, what) for what in WHATS}
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert {what for what, status in statuses.items() if status != 200} <= {"raise", "chained", "bytes"}
    return entries(output)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("function") / "main.py"
    file.write_text(FUNCTION)
    return file


@pytest.fixture(scope="module", params=[{}, {"LOG_EXECUTION_ID": "true"}], ids=["as it is", "with execution ids"])
def log(request: pytest.FixtureRequest, source: Path) -> list[dict[str, Any]]:
    return spoken(source, **request.param)


def test_our_own_line_carries_the_requests_trace(log: list[dict[str, Any]]) -> None:
    (line,) = [entry for entry in log if entry["event"] == "batch.delivered"]
    assert (line["severity"], line["conversions"]) == ("INFO", 500)
    assert line["logging.googleapis.com/trace"] == f"projects/my-project/traces/{TRACE}"


def said_at(log: list[dict[str, Any]], event: str, place: str) -> list[dict[str, Any]]:
    return [entry for entry in log if entry["event"] == event and place in entry["location"]]


def test_a_record_says_its_logger_level_and_location(log: list[dict[str, Any]]) -> None:
    records = [entry for entry in said_at(log, "library.log", "main.py") if entry["logger"] == "somebody"]
    assert [entry["severity"] for entry in records] == ["WARNING", "ERROR", "ERROR"]
    assert all(re.fullmatch(r"/.*main\.py:[0-9]+ in speak", entry["location"]) for entry in records)


def test_a_record_with_an_exception_says_its_type_and_places(log: list[dict[str, Any]]) -> None:
    (logged,) = [entry for entry in log if entry.get("logger") == "somebody" and "error" in entry]
    (forgotten,) = [entry for entry in log if entry.get("logger") == "asyncio"]
    escaped = said_at(log, "library.log", "functions_framework")  # formatted into the text of the record
    # With execution ids, bytes cannot be printed at all.
    escaped = [entry for entry in escaped if entry["error"] != "TypeError"]
    assert [entry["error"] for entry in (logged, forgotten, *escaped)] == [*["ValueError"] * 3, "RuntimeError"]
    for entry in (logged, forgotten, *escaped):
        assert ", in fail" in entry["stack_trace"]
        assert "ValueError: text withheld" in entry["stack_trace"]


def test_a_warning_says_its_category_and_location(log: list[dict[str, Any]]) -> None:
    (warned,) = [entry for entry in log if entry.get("logger") == "warnings" and "main.py" in entry["location"]]
    assert (warned["severity"], warned["error"]) == ("WARNING", "UserWarning")


def test_prints_say_where_they_were_made(log: list[dict[str, Any]]) -> None:
    printed = [entry for entry in log if entry["event"] == "process.output"]
    assert {entry["stream"] for entry in printed} == {"stdout", "stderr"}
    assert {entry.get("error") for entry in printed} == {None, "ValueError"}
    assert max(entry["characters"] for entry in printed) >= 300_000
    assert all("main.py" in entry["location"] for entry in printed if entry["severity"] == "INFO")


def test_libraries_are_heard_from_warning_on(log: list[dict[str, Any]]) -> None:
    names = ("oauthlib.oauth1", "requests_oauthlib", "urllib3.connectionpool", "google.auth", "grpc._x")
    assert sorted(entry["logger"] for entry in log if entry.get("logger") in names) == sorted(names)
    assert {entry["severity"] for entry in log if "logger" in entry} <= {"WARNING", "ERROR", "CRITICAL"}


def test_crashes_beside_the_requests_have_their_stack_traces(log: list[dict[str, Any]]) -> None:
    for event in ("thread.crashed", "process.unraisable"):
        (line,) = [entry for entry in log if entry["event"] == event]
        assert (line["severity"], line["error"]) == ("ERROR", "ValueError")
        assert line["stack_trace"].endswith("ValueError: text withheld")


def test_a_servers_error_says_where_it_came_from(source: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        with framework(source, f"--port={squatter.getsockname()[1]}") as (_, process):
            output, _ = process.communicate(timeout=60)
    errors = entries(output)
    assert {(entry["event"], entry["logger"], entry["severity"]) for entry in errors} == {
        ("server.log", "gunicorn.error", "ERROR")
    }
    assert {re.sub(r".*/(.*):[0-9]+ in .*", r"\1", entry["location"]) for entry in errors} == {"sock.py"}


def test_the_development_server_speaks_json_lines_too(source: Path) -> None:
    assert said_at(spoken(source, "--debug"), "library.log", "main.py")


def test_a_crash_at_start_is_one_line_without_the_exceptions_text(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text("from xcapi_core import logs\nlogs.install()\nraise ValueError('Wonderland alice@example.com')\n")
    with framework(file) as (_, process):
        output, _ = process.communicate(timeout=60)
    (line,) = entries(output)
    assert process.returncode == 1
    assert (line["severity"], line["event"], line["error"]) == ("CRITICAL", "process.crashed", "ValueError")
    assert 'main.py", line 3, in <module>' in line["stack_trace"]
