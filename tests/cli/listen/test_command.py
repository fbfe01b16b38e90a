"""`xcapi listen` on a topic of Google's Pub/Sub emulator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.queues import PROJECT, Queues, purchase
from tests.e2e.stack import wait_for

pytestmark = pytest.mark.e2e

REFUSED = {"consent": False, "secret_note": "Wonderland"}


class Listening:
    """The command as a process, once it listens."""

    def __init__(self, queues: Queues, *arguments: str) -> None:
        self.queues = queues
        Path("config.json").write_text(json.dumps(queues.configuration()))
        command = [sys.executable, "-u", "-m", "xcapi_core", "listen", "--topic", queues.topic("remainder")]
        self.process = subprocess.Popen(
            [*command, "--config", "config.json", *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout
        self.stdout = self.process.stdout
        wait_for(lambda: bool(self.subscriptions()))

    def subscriptions(self) -> list[str]:
        """Return the temporary ones that are there now, of this process."""
        found = self.queues.subscriber.list_subscriptions(project=f"projects/{PROJECT}")
        return [one.name for one in found if "xcapi-listen-" in one.name and f"-{self.process.pid}-" in one.name]

    def end(self, number: signal.Signals = signal.SIGINT) -> list[str]:
        """End the command; return what it printed and nobody read."""
        self.process.send_signal(number)
        rest = self.stdout.read().splitlines()
        self.process.wait(200)
        return rest

    def publish(self, *events: object) -> None:
        self.queues.publish(json.dumps(list(events)).encode(), {}, "remainder")


Listen = Callable[..., Listening]


@pytest.fixture
def listen(queues: Queues) -> Iterator[Listen]:
    """Start the command; what a test did not end is killed."""
    started: list[Listening] = []

    def start(*arguments: str) -> Listening:
        started.append(Listening(queues, *arguments))
        return started[-1]

    yield start
    for listening in started:
        listening.process.kill()
        listening.process.wait()
        listening.stdout.close()


def test_events_are_shown_while_they_pass_and_nothing_is_taken_away(queues: Queues, listen: Listen) -> None:
    listening = listen("--json")
    listening.publish(purchase(1), {**purchase(2), **REFUSED}, {"event": "nope"})
    lines = [json.loads(listening.stdout.readline()) for _ in range(3)]
    queues.publish(b'{"event": "nope",}', {}, "remainder")
    unreadable = json.loads(listening.stdout.readline())
    (last,) = [json.loads(line) for line in listening.end()]
    assert listening.process.returncode == 130
    assert [line["end"] for line in lines] == ["conversion", "skipped", "invalid"]
    assert last["summary"]["events"] == 4
    # A place in the message, whichever it is of those that passed.
    assert "line 1, column 18" in unreadable["detail"]
    assert lines[0]["conversion"]["identifiers"][0]["hashed_email"].endswith("…")
    assert "jane" not in json.dumps(lines)
    assert "Wonderland" not in json.dumps(lines)
    assert "conversion" not in lines[1]
    assert listening.subscriptions() == []
    assert len(queues.waiting("remainder")) == 2


def test_busy_topic_is_sampled_and_says_so(listen: Listen) -> None:
    listening = listen()
    listening.publish(*(purchase(number) for number in range(300)))
    assert listening.stdout.readline()
    time.sleep(10)  # until all of the message is counted: a hundred times what that takes
    *shown, last = listening.end()
    assert "sample: " in last
    assert "300 events in 1 messages" in last
    assert sum("tw-o8z6j-o8z21" in line for line in shown) < 300


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_subscription_is_gone_however_it_ends(listen: Listen, number: signal.Signals) -> None:
    listening = listen()
    listening.end(number)
    assert listening.subscriptions() == []


def test_subscription_of_a_killed_one_is_gone_at_the_next_start(listen: Listen) -> None:
    killed = listen()
    killed.end(signal.SIGKILL)
    assert killed.subscriptions() != []
    following = listen()
    assert killed.subscriptions() == []
    following.end()


def test_ends_by_itself_when_told(queues: Queues) -> None:
    result: Any = queues.run("listen", "--topic", queues.topic("remainder"), "--for", "2s", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["summary"]["events"] == 0


def test_topic_that_is_not_there_is_a_sentence(queues: Queues) -> None:
    result = queues.run("listen", "--topic", "no-such-topic")
    assert result.exit_code == 1
    assert "NOT_FOUND" in result.output
