"""`xcapi sandbox` as people start it: a process, its output, its signals."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
import requests

from tests.sandbox.client import PIXEL_TOKEN, conversion
from tests.services import unavailable

ROOT = Path(__file__).resolve().parents[2]
START_S = 60

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `xcapi sandbox` with options; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "xcapi_core", "sandbox", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line_with(words: str, stream: IO[str] | None) -> str:
    assert stream is not None
    for line in stream:
        if words in line:
            return line
    pytest.fail(f"the output ended without {words!r}")


def url_of(process: subprocess.Popen[str]) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line_with("http://", process.stdout))
    assert found
    return found.group()


def send(url: str, **changes: object) -> requests.Response:
    body = {"conversions": [conversion(**changes)]}
    path = "/12/measurement/conversions/o8z6j"
    return requests.post(url + path, json=body, headers={"X-Pixel-Token": PIXEL_TOKEN}, timeout=60)


def test_curl_example_works_as_pasted(start: Start) -> None:
    if shutil.which("curl") is None:
        unavailable("curl is not installed")
    process = start("--port", "0")
    assert process.stdout is not None
    lines = [line_with("curl -s", process.stdout), next(process.stdout), next(process.stdout)]
    answer = subprocess.run(["sh", "-c", "".join(lines)], capture_output=True, text=True, check=True, timeout=200)
    assert json.loads(answer.stdout)["data"]["conversions_processed"] == 1


def test_each_request_is_a_plain_line_in_a_pipe(start: Start) -> None:
    process = start("--port", "0")
    url = url_of(process)
    assert send(url, event_id="nope").status_code == 404
    line = line_with("  404  ", process.stdout)
    assert re.search(
        r"^\d\d:\d\d:\d\d  404  o8z6j +1 conversion .*pixel_token .*INVALID_PARAMETER NOT_FOUND; 1 bad", line
    )
    assert "\x1b" not in line


def test_output_has_colour_on_a_terminal() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "xcapi_core", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment, cwd=ROOT) as process:
        os.close(terminal)
        seen = b""
        while b"http://127.0.0.1:" not in seen:
            seen += os.read(controller, 1024)
        process.send_signal(signal.SIGINT)
        assert process.wait(START_S) == 130
    os.close(controller)
    assert b"\x1b[" in seen


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_stops_quietly_when_told(start: Start, number: signal.Signals, exit_code: int) -> None:
    process = start("--port", "0", "--quiet")
    send(url_of(process))
    process.send_signal(number)
    out, err = process.communicate(timeout=START_S)
    assert (process.returncode, out, err) == (exit_code, "", "")


def test_stops_quietly_while_a_client_waits(start: Start) -> None:
    process = start("--port", "0", "--quiet")
    url = url_of(process)
    requests.post(f"{url}/sandbox/faults", json={"latency_s": 60}, timeout=60)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(f"{url}/12/measurement/conversions/o8z6j", json={}, timeout=0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=START_S)
    assert (process.returncode, err) == (130, "")


def test_taken_port_is_one_clear_sentence(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=START_S)
    assert (process.returncode, out) == (1, "")
    assert err == f"Error: Port {port} is taken on 127.0.0.1: choose another with --port, or --port 0 for a free one.\n"


def test_address_of_another_machine_is_one_clear_sentence(start: Start) -> None:
    process = start("--host", "203.0.113.7", "--port", "0")
    _, err = process.communicate(timeout=START_S)
    assert process.returncode == 1
    assert err.startswith("Error: Cannot listen on 203.0.113.7 port 0: ")
    assert err.count("\n") == 1


def test_listening_beyond_loopback_warns(start: Start) -> None:
    process = start("--host", "0.0.0.0", "--port", "0", "--quiet")
    assert "reachable from other machines" in line_with("Warning", process.stderr)


def test_json_lines_for_scripts(start: Start) -> None:
    process = start("--port", "0", "--json")
    assert process.stdout is not None
    url = json.loads(next(process.stdout))["listening"]
    send(url)
    assert json.loads(next(process.stdout))["request"]["status"] == 200


def test_configuration_file_sets_pixels_and_keys_and_its_keys_stay_there(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    tokens = {"pixel_tokens": {"abc12": "file-token-1"}, "oauth": []}
    file.write_text(json.dumps({"pixels": {"abc12": {"event_tags": {"t1": "purchase"}}}, "keys": tokens}))
    process = start("--port", "0", "--config", str(file))
    url = url_of(process)
    banner = line_with("token", process.stdout) + line_with("X-Pixel-Token", process.stdout)
    assert "pixel token abc12" in banner
    assert "$PIXEL_TOKEN" in banner
    assert "file-token-1" not in banner
    answer = requests.post(
        f"{url}/12/measurement/conversions/abc12",
        json={"conversions": [conversion(event_id="t1")]},
        headers={"X-Pixel-Token": "file-token-1"},
        timeout=200,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "Cannot read"),
        ('{"pixels": {},\n "any_tag": yes}', "is not JSON from line 2, column 13 on: Expecting value."),
        (
            '{"pixels": [], "colour": 1}',
            "config.pixels: found a list, expected an object\n  config.colour: found an unknown",
        ),
    ],
)
def test_bad_configuration_file_is_told_at_once(start: Start, tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "sandbox.json"
    if content is not None:
        file.write_text(content)
    process = start("--port", "0", "--config", str(file))
    _, err = process.communicate(timeout=START_S)
    assert process.returncode == 1
    assert words in err
    assert "Traceback" not in err


def test_any_tag_is_accepted_when_asked_for(start: Start) -> None:
    url = url_of(start("--port", "0", "--quiet", "--any-tag"))
    assert send(url, event_id="tw-o8z6j-zzzzz").status_code == 200


def test_a_reader_that_goes_away_ends_it_without_a_traceback(start: Start) -> None:
    process = start("--port", "0")
    url = url_of(process)
    assert process.stdout is not None
    process.stdout.close()
    for _ in range(2):
        with suppress(requests.ConnectionError):  # the first line may already have ended it
            send(url)
    assert process.wait(START_S) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_terminal_is_not_steered_by_what_clients_send(start: Start) -> None:
    process = start("--port", "0")
    url = url_of(process)
    requests.post(f"{url}/12/measurement/conversions/%1b%5b31m%0aforged", json={}, timeout=60)
    line = line_with("  401  ", process.stdout)
    assert "\ufffd[31m\ufffdforged" in line
