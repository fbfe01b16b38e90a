"""`xcapi demo` as a newcomer and as a script run it, and what it says when something goes wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import xcapi_core.cli.demo.command
from tests.e2e.stack import wait_for
from tests.services import unavailable
from tests.test_readme import shown
from xcapi_core.cli.demo.command import demo
from xcapi_core.cli.demo.performance import perform
from xcapi_core.cli.demo.planned import Act, Delivered, PlannedEvent, PlannedMessage
from xcapi_core.cli.demo.stage import Stage, open_stage
from xcapi_core.cli.demo.story import OAUTH_PIXEL, tell_story
from xcapi_core.cli.demo.watching import SilentOutput
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

DEMO = [sys.executable, "-m", "xcapi_core", "demo"]
# What the story's events say about people, and the keys that sign for them. None of it belongs into a log.
PERSONAL = ("example.com", "555 0143", "5550143", "203.0.113.7", "Firefox", "23opevjt88", "Sandbox", "not-a-real")

pytestmark = pytest.mark.usefixtures("function_venv")  # the set-up is not what these tests time out on


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [*DEMO, "--timeout", "250", *options]
    return subprocess.run(command, cwd=repository_root(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("pubsub", ["embedded", "emulator"])
def test_every_event_ends_where_it_should(pubsub: str) -> None:
    if pubsub == "emulator" and (reason := PubsubEmulator.available()):
        unavailable(f"the Pub/Sub emulator cannot run: {reason}")
    result = run_demo("--json", "--pubsub", pubsub)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)  # one document, and nothing else
    assert (report["ok"], report["problems"]) == (True, [])
    acts = {act["title"]: act for act in report["acts"]}
    # 501 events leave in two or three requests to begin with; what a bisection of 500 costs is tested in tests/x_api.
    assert acts["X refuses 1 of 501 and names it"]["requests"] <= 3 + 2
    assert acts["X refuses 1 of 501, not saying which"]["requests"] <= 12 + 2
    ends = {(end["end"], end["why"].partition(":")[0]) for act in report["acts"] for end in act["ends"]}
    assert ends == {
        ("delivered", "X accepted it at pixel o8z6j"),
        ("delivered", "X accepted it at pixel p9q7k"),
        ("dead-lettered", "rejected"),
        ("dead-lettered", "invalid_message"),
        ("dead-lettered", "invalid_event"),
        ("skipped", "no consent"),
        ("skipped", "nothing to match by"),
        ("skipped", "the pixel does not want such events"),
    }
    assert 'oauth_signature="***"' in report["example"]["request"]["headers"]["authorization"]


def test_pipe_gets_plain_lines_a_table_and_the_verdict() -> None:
    result = run_demo("--pubsub", "embedded")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    assert [line[:5] for line in lines if "settled, X answered" in line] == [f"{n:2}/11" for n in range(1, 12)]
    assert "Where every event ended, and why" in lines
    assert "the signed request it became" in result.stdout
    assert "requests per event" in result.stdout
    assert lines[-1] == "Every event ended where it should."
    assert ends_of(shown("demo")) == ends_of(result.stdout)


def ends_of(output: str) -> list[str]:
    """Return where the demo's events ended, without how many requests that took: with another timing it is another."""
    table = output.partition("\nWhere every event ended, and why\n")[2]
    lines = [line.rstrip() for line in table.splitlines()]
    end = next(number for number, line in enumerate(lines) if re.match(" *[┌…]", line))
    return [re.sub(r"   \d+ requests?, [\d.]+ per event$", "", line) for line in lines[:end]]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for child processes in /proc")
def test_ctrl_c_ends_every_process_that_was_started() -> None:
    with subprocess.Popen(
        [*DEMO, "--pubsub", "embedded"],
        cwd=repository_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith(" 1/11"):
                break
        started = children_of(process.pid)
        assert started
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == "Stopped; everything that was started has ended.\n"
    wait_for(lambda: not {pid for pid in started if Path(f"/proc/{pid}").exists()})


def children_of(parent: int) -> set[int]:
    """Return the process ids of children, grandchildren and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(stat.parent.name)] = int(after_name[1])
    family = {parent}
    while found := {pid for pid, its_parent in parents.items() if its_parent in family} - family:
        family |= found
    return family - {parent}


@contextmanager
def stage() -> Iterator[Stage]:
    with open_stage("embedded", on_step=lambda _: None, on_install=lambda _: None) as opened:
        yield opened


def test_functions_log_is_json_lines_and_holds_nothing_personal() -> None:
    with stage() as opened:
        report = perform(opened, tell_story(datetime.now(UTC)), SilentOutput(), timeout_s=250)
    assert report.problems == ()
    assert opened.function.exit_code == 0
    lines = opened.function.lines
    assert len(opened.function.log_entries) == len(lines) > 20
    assert [line for line in lines if any(personal in line for personal in PERSONAL)] == []


def lonely(conversion_id: str, fields: dict[str, object]) -> Act:
    payload = json.dumps({"conversion_id": conversion_id, **fields}).encode()
    event = PlannedEvent(
        label=conversion_id, conversion_id=conversion_id, payload=payload, expected=Delivered(OAUTH_PIXEL)
    )
    return Act(title="one act", messages=(PlannedMessage(data=payload, events=(event,)),))


def test_event_that_ended_elsewhere_makes_exit_code_1_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    surprise = lonely("surprise", {"event_id": "tw-o8z6j-zzzzz", "email": "ada@example.com"})
    monkeypatch.setattr(xcapi_core.cli.demo.command, "tell_story", lambda _: (surprise,))
    result = CliRunner().invoke(demo, ["--json", "--pubsub", "embedded"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert "“surprise” should have been delivered, but is dead-lettered (rejected: event_id" in report["problems"][0]


def test_function_that_dies_on_the_way_is_reported() -> None:
    class Killer(SilentOutput):
        def act_begins(self, act: Act) -> None:  # noqa: ARG002
            opened.function.kill()

    fields: dict[str, object] = {"event": "purchase", "email": "ada@example.com"}
    with stage() as opened:
        report = perform(opened, [lonely("orphan", fields)], Killer(), timeout_s=30)
    assert any("The function ended with exit code -9" in problem for problem in report.problems)
    assert any("“orphan” should have been delivered, but is missing" in problem for problem in report.problems)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_missing_emulator_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = CliRunner().invoke(demo, ["--pubsub", "emulator", *options])
    sentence = "The Pub/Sub emulator is not available: gcloud is not installed."
    assert result.exit_code == 1
    if options:
        assert json.loads(result.stdout) == {"ok": False, "problems": [sentence]}
    else:
        assert result.stderr == f"Error: {sentence}\n"


def test_auto_falls_back_on_the_embedded_pubsub_and_says_so(
    monkeypatch: pytest.MonkeyPatch, function_venv: FunctionVenv
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(function_venv.scripts), "/nowhere"]))
    act = lonely("one", {"event": "purchase", "email": "ada@example.com"})
    monkeypatch.setattr(xcapi_core.cli.demo.command, "tell_story", lambda _: (act,))
    result = CliRunner().invoke(demo, ["--pubsub", "auto"])
    assert result.exit_code == 0, result.output
    assert "gcloud is not installed" in result.stdout


def test_wrong_option_is_wrong_usage() -> None:
    assert CliRunner().invoke(demo, ["--pubsub", "kafka"]).exit_code == 2
