"""Where a command's output goes may be gone or full: every command ends, and none with a traceback."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from xcapi_core.cli.group import xcapi

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = {
    "dead_letter_topic": "file:dead-letters.jsonl",
    "pixels": {"o8z6j": {"credentials": "env:X_KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}},
}
EVENT = json.dumps({"event": "purchase", "order_id": "10001", "email": "jane@example.com"})

HELP = [(name, "--help") for name in xcapi.list_commands(None)]  # type: ignore[arg-type]  # it does not look at it
RUNS = [
    ("--version",),
    ("demo",),
    *[("sandbox", "--port", "0", *more) for more in ([], ["--quiet"], ["--json"])],
    *[("validate", "events.jsonl", *more) for more in ([], ["--quiet"], ["--json"])],
]

# A write fails at once where nothing is buffered, otherwise at some flush, the interpreter's own at the latest.
each_command = pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(arguments, "") for arguments in [("--help",), *HELP, *RUNS]] + [(arguments, "1") for arguments in RUNS],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value and "unbuffered",
)


@pytest.fixture(scope="module", name="folder")
def folder_with_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    (folder / "events.jsonl").write_text(f"{EVENT}\n" * 2_000)
    return folder


def run(arguments: Sequence[str], folder: Path, stdout: int, **environment: str) -> tuple[int, str]:
    """Run a command that ends by itself; return its exit code and what it says on stderr."""
    process = subprocess.run(
        [sys.executable, "-m", "xcapi_core", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XCAPI_CONFIG": json.dumps(CONFIGURATION), **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=200,
    )
    return process.returncode, process.stderr


@each_command
def test_reader_that_has_gone_ends_it_quietly(arguments: tuple[str, ...], unbuffered: str, folder: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end) as pipe:
        exit_code, said = run(arguments, folder, pipe.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert said == ""
    assert exit_code in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@each_command
def test_full_disk_is_one_sentence(arguments: tuple[str, ...], unbuffered: str, folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        exit_code, said = run(arguments, folder, full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert re.fullmatch(r"Error: The output cannot be written: [^\n]+\.\n", said)
    assert exit_code == 1


def run_with(closed: str, arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "xcapi_core", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XCAPI_CONFIG": json.dumps(CONFIGURATION)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize("arguments", [("--help",), *HELP, ("validate", "events.jsonl")], ids=" ".join)
def test_closed_output_is_discarded(arguments: tuple[str, ...], folder: Path) -> None:
    done = run_with(">&-", arguments, folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("validate", "-"), "nothing in it: it is empty"),
        (("publish", "-", "--topic", "projects/p/topics/t"), "nothing in it: it is empty"),
        (("dev", "-"), "nothing in it: it is empty"),
    ],
    ids=["validate", "publish", "dev"],
)
def test_closed_input_is_an_empty_one(arguments: tuple[str, ...], says: str, folder: Path) -> None:
    done = run_with("<&-", arguments, folder)
    assert done.returncode in {1, 2}
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_closed_errors_are_discarded(folder: Path) -> None:
    done = run_with("2>&-", ("validate", "no-such-file.jsonl"), folder)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that opens and cannot be read")
def test_file_that_cannot_be_read_is_no_fault_of_the_output(folder: Path) -> None:
    exit_code, said = run(("validate", "/proc/self/mem", "events.jsonl"), folder, subprocess.DEVNULL)
    assert (exit_code, said) == (1, "")
