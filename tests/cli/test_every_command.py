"""What holds for every command: its help, mistyped names, colours, and what a script gets."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner

from tests.cli.google_services import LocalLogging, LocalMonitoring
from tests.cli.queues import PROJECT, Queues, purchase
from tests.cli.sandboxed import configuration
from tests.cli.terminal import shown_until_the_end
from xcapi_core.cli.group import xcapi
from xcapi_core.sandbox.server import SandboxServer

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 60
# The real command; a subscription counts as empty after a second.
CODE = """
import xcapi_core.cli.dlq.sweeping as sweeping
sweeping.SILENCE_S = 1
from xcapi_core.cli.__main__ import main
main()
"""


def commands(group: click.Group = xcapi, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its path, those of groups too."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


EVERY = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]
LEAVES = [
    pytest.param(path, command, id=" ".join(path))
    for path, command in commands()
    if not isinstance(command, click.Group)
]
# What scripts may rely on.
WITH_JSON = {
    *(("validate",), ("listen",), ("dev",), ("trace",), ("doctor",), ("publish",), ("status",)),
    *(("dlq", name) for name in ("list", "show", "replay", "discard")),
}


def invoke(*arguments: str) -> Any:
    # What click leaves of 60 columns: it keeps two free.
    return CliRunner().invoke(xcapi, arguments, prog_name="xcapi", terminal_width=COLUMNS - 2)


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_help_teaches_with_an_example_on_a_narrow_terminal(path: tuple[str, ...], command: click.Command) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if len(line) > COLUMNS] == []
    assert f"\n  xcapi {' '.join(path)}" in result.output
    if not isinstance(command, click.Group):
        assert "Exits with 0" in result.output


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_mistyped_command_is_answered_with_the_one_that_was_meant(
    path: tuple[str, ...], command: click.Command
) -> None:
    del command
    result = invoke(*path[:-1], path[-1][:-2] + path[-1][-1])
    assert result.exit_code == 2
    _, asked, meant = result.stderr.replace("'", "").partition("Did you mean ")
    assert asked
    assert path[-1] in meant.replace("?", "").split()


@pytest.mark.parametrize(("path", "command"), LEAVES)
def test_mistyped_option_is_answered_with_the_one_that_was_meant(path: tuple[str, ...], command: click.Command) -> None:
    options = [name for one in command.params for name in one.opts if name.startswith("--")]
    for option in options:
        mistyped = option[:-2] + option[-1]
        if mistyped in options:
            continue
        result = invoke(*path, mistyped, "1")
        assert result.exit_code == 2, option
        assert option in result.stderr, result.stderr


def test_scripts_get_json_where_it_is_promised() -> None:
    having = {path for path, command in commands() if any("--json" in one.opts for one in command.params)}
    assert having >= WITH_JSON


class Row(NamedTuple):
    """A call that ends by itself, its exit code, and what its last line of JSON must have."""

    words: tuple[str, ...]
    exit_code: int
    summary: frozenset[str]


GOOD = ("--config", "config.json")
ROWS = {
    "validate": Row(("validate", "events.jsonl", *GOOD), 1, frozenset({"events", "ends"})),
    "publish": Row(
        ("publish", "good.jsonl", "--topic", "events", "--dry-run", *GOOD),
        0,
        frozenset({"events", "messages", "confirmed_line"}),
    ),
    "trace": Row(("trace", "1", "2", "--log", "function.log", *GOOD), 1, frozenset({"findings"})),
    "doctor": Row(("doctor", *GOOD), 1, frozenset({"ok", "warning", "failed", "skipped"})),
    "tags list": Row(("tags", "list", *GOOD), 0, frozenset({"event_ids"})),
    "status": Row(("status", *GOOD), 0, frozenset({"delivered", "pauses"})),
    "listen": Row(("listen", "--topic", "{remainder}", "--for", "1s", *GOOD), 0, frozenset({"events"})),
    "dlq list": Row(("dlq", "list", *GOOD), 0, frozenset({"chosen"})),
    "dlq show": Row(("dlq", "show", *GOOD), 0, frozenset({"chosen"})),
    "dlq replay": Row(("dlq", "replay", "--dry-run", *GOOD), 1, frozenset({"chosen", "published", "acked", "left"})),
    "dlq discard": Row(
        ("dlq", "discard", "--reason", "expired", *GOOD), 0, frozenset({"chosen", "published", "acked", "left"})
    ),
}


@pytest.fixture(name="world")
def world_of_services(queues: Queues, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Give what the rows need; yield the environment in which they find it."""
    lines = [{"event": "batch.delivered", "pixel_id": "o8z6j", "conversion_ids": ["1"]}]
    (tmp_path / "function.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "good.jsonl").write_text(json.dumps(purchase(1)) + "\n")
    (tmp_path / "events.jsonl").write_text(json.dumps(purchase(1)) + "\n" + json.dumps({"event": "nope"}) + "\n")
    queues.dead_letter(purchase(1), "rejected")
    queues.dead_letter({"event": "nope", "email": "jane@example.com"}, "invalid_event")
    with SandboxServer() as sandbox, LocalLogging() as log, LocalMonitoring({}) as monitoring:
        topics = {"dead_letter_topic": queues.topic("dead-letter"), "remainder_topic": queues.topic("remainder")}
        configuration(sandbox, tmp_path, **topics)
        yield {
            "PUBSUB_EMULATOR_HOST": os.environ["PUBSUB_EMULATOR_HOST"],
            "CLOUD_LOGGING_EMULATOR_HOST": log.address,
            "CLOUD_MONITORING_EMULATOR_HOST": monitoring.address,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "REMAINDER": queues.topic("remainder"),
        }


def started(words: Sequence[str], world: Mapping[str, str], stdout: int) -> "subprocess.Popen[bytes]":
    words = [word.replace("{remainder}", world["REMAINDER"]) for word in words]
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **world},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stdout if os.isatty(stdout) else subprocess.DEVNULL,
    )


def in_a_terminal(words: Sequence[str], world: Mapping[str, str]) -> tuple[int, str]:
    """Run on a terminal of its own; return the exit code and all that it showed."""
    ours, theirs = pty.openpty()
    process = started(words, world, theirs)
    os.close(theirs)
    shown = shown_until_the_end(ours)
    return process.wait(200), shown.decode()


@pytest.mark.e2e
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_in_a_pipe_there_are_plain_lines_and_json_ends_with_the_summary(row: Row, world: Mapping[str, str]) -> None:
    for more in ((), ("--json",)):
        process = started([*row.words, *more], world, subprocess.PIPE)
        output = process.communicate(timeout=200)[0].decode()
        assert process.returncode == row.exit_code, output
        assert not {"\x1b", "\r"} & set(output)
    *objects, last = [json.loads(line) for line in output.splitlines()]
    assert all(isinstance(one, dict) and "summary" not in one for one in objects)
    assert last.keys() == {"summary"}
    assert last["summary"].keys() >= row.summary


@pytest.mark.parametrize(
    "words",
    [
        ("doctor", "--topic", "events", "--subscription", "events", *GOOD),
        ("tags", "list", *GOOD),
        ("publish", "good.jsonl", "--topic", "events", *GOOD),
        ("listen", "--topic", "events", "--for", "1s", *GOOD),
        ("trace", "1", *GOOD),
        ("status", *GOOD),
        *(("dlq", name, *GOOD) for name in ("list", "show", "replay")),
        ("dlq", "export", "out.jsonl", *GOOD),
        ("dlq", "discard", "--reason", "expired", "--yes", *GOOD),
        ("validate", "good.jsonl", "--ask-x", *GOOD),
    ],
    ids=lambda words: " ".join(word for word in words[:2] if word.isalpha()),
)
def test_without_google_credentials_it_says_what_to_do(words: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(json.dumps(purchase(1)) + "\n")
    secret = "projects/my-project/secrets/x-ads-o8z6j/versions/latest"
    pixels = {"o8z6j": {"credentials": secret, "event_ids": {"purchase": "tw-o8z6j-o8z21"}}}
    topics = {f"{name}_topic": f"projects/my-project/topics/{name}" for name in ("dead_letter", "remainder")}
    (tmp_path / "config.json").write_text(json.dumps({**topics, "pixels": pixels}))
    done = subprocess.run(
        [sys.executable, "-m", "xcapi_core", *words],
        cwd=tmp_path,
        # Nothing of this machine's login, and no look for a metadata server.
        env={
            "PATH": "",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "GOOGLE_CLOUD_PROJECT": "my-project",
            "NO_GCE_CHECK": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 1, done.stderr
    assert "gcloud auth application-default login" in done.stdout + done.stderr
    assert "0 of 0" not in done.stdout  # nobody was asked, so nothing was counted
    assert "Traceback" not in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("quiet", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_colour_where_it_is_not_wanted(row: Row, world: Mapping[str, str], quiet: Mapping[str, str]) -> None:
    exit_code, shown = in_a_terminal(row.words, {**world, **quiet, "COLUMNS": str(COLUMNS)})
    assert exit_code == row.exit_code, shown
    assert shown.strip()
    # A bar that moves is no colour; where a terminal cannot go back there is none.
    assert (
        "\x1b" not in shown if "TERM" in quiet else not any(f"\x1b[{code}" in shown for code in ("1m", "3", "9", "2m"))
    )
