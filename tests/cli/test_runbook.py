"""docs/operations.md is a runbook of commands: each of them runs here, against Google's emulator and a sandbox."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.api_core import exceptions
from google.pubsub_v1.types import PubsubMessage, Subscription, Topic

from tests.cli.google_services import LocalLogging, LocalMonitoring
from tests.cli.queues import purchase
from tests.cli.sandboxed import configuration, keys_file
from tests.services import emulator, unavailable
from tests.snippets import commands_in, snippets
from xcapi_core.cli.dlq import sweeping
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.cli.google.monitoring import WAITING
from xcapi_core.cli.group import xcapi
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator"]

pytestmark = pytest.mark.e2e

PROJECT = "projects/runbook"
NAME = "x-conversions"
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def commands() -> list[Any]:
    """Return each call of xcapi on the page, those of the table at its top included, as a parameter of a test."""
    typed = [
        (snippet.line, words)
        for snippet in snippets("sh")
        if snippet.page == "docs/operations.md"
        for words in commands_in(snippet.text)
    ]
    table = re.findall(r"^\| [^|]+ \| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    typed += [(0, words) for text in table for words in commands_in(text)]
    calls = [(line, words[1:]) for line, words in typed if words[0] == "xcapi"]
    assert len(calls) > 12
    return [pytest.param(words, id=f"{line} {' '.join(words)[:60]}") for line, words in calls]


def names(kind: str) -> list[str]:
    return [f"{PROJECT}/{kind}/{NAME}{suffix}" for suffix in ("", "-remainder", "-dead-letter")]


def make_queues(emulator: PubsubEmulator) -> None:
    """Make the module's topics and subscriptions anew, and dead letters of several reasons."""
    publisher, subscriber = new_publisher(), new_subscriber()
    for topic, subscription in zip(names("topics"), names("subscriptions"), strict=True):
        with suppress(exceptions.NotFound):
            subscriber.delete_subscription(subscription=subscription)
        with suppress(exceptions.NotFound):
            publisher.delete_topic(topic=topic)
        publisher.create_topic(Topic(name=topic))
    dead_letters = names("topics")[2]
    for topic, subscription in zip(names("topics"), names("subscriptions"), strict=True):
        pushes = topic != dead_letters
        subscriber.create_subscription(
            Subscription(
                name=subscription,
                topic=topic,
                ack_deadline_seconds=75,
                push_config={"push_endpoint": f"http://{emulator.address}/"} if pushes else None,
                dead_letter_policy={"dead_letter_topic": dead_letters, "max_delivery_attempts": 100}
                if pushes
                else None,
                retry_policy={"minimum_backoff": "10s", "maximum_backoff": "600s"} if pushes else None,
            )
        )
    for number, reason in enumerate(("rejected", "unauthorized", "invalid_event"), start=10_001):
        attributes = {"xcapi_reason": reason, "xcapi_pixel_id": "o8z6j", "xcapi_conversion_id": str(number)}
        data = json.dumps({**purchase(number), "value": 10}).encode()
        publisher.publish(topic=dead_letters, messages=[PubsubMessage(data=data, attributes=attributes)])


@pytest.fixture(name="folder")
def folder_of_somebody_on_call(
    emulator: PubsubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    # As gcloud's own project would be: short names stand in the alerts' text.
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT.removeprefix("projects/"))
    monkeypatch.setattr(sweeping, "SILENCE_S", 1.0)
    monkeypatch.chdir(tmp_path)
    make_queues(emulator)
    _, remainder, dead_letters = names("topics")
    said = {"event": "batch.delivered", "pixel_id": "o8z6j", "conversion_ids": ["10001"]}
    log = LocalLogging([(datetime.now(UTC) - timedelta(minutes=5), said)])
    monitoring = LocalMonitoring({(WAITING, NAME): 7, (WAITING, f"{NAME}-dead-letter"): 3})
    with SandboxServer() as sandbox, log, monitoring:
        monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", log.address)
        monkeypatch.setenv("CLOUD_MONITORING_EMULATOR_HOST", monitoring.address)
        configuration(sandbox, tmp_path, dead_letter_topic=dead_letters, remainder_topic=remainder)
        keys_file(tmp_path)
        yield tmp_path


@pytest.mark.parametrize("words", commands())
def test_each_command_of_the_runbook_runs(folder: Path, words: list[str]) -> None:
    words = ["2s" if word == "1m" else word for word in words]
    result = CliRunner().invoke(xcapi, words, input="y\n")
    assert result.exit_code == 0, f"{result.output}\n{result.stderr}"
    assert result.output.strip(), folder


def test_stopping_takes_the_address_away_and_resuming_brings_it_back(folder: Path, emulator: PubsubEmulator) -> None:
    if shutil.which("gcloud") is None:
        unavailable("gcloud is not installed")
    stop, resume = [
        one.text for one in snippets("sh") if one.page == "docs/operations.md" and "modify-push" in one.text
    ]
    subscriber = new_subscriber()

    def endpoints() -> list[str]:
        found = (subscriber.get_subscription(subscription=name) for name in names("subscriptions")[:2])
        return [one.push_config.push_endpoint for one in found]

    def gcloud(block: str) -> None:
        environment = {
            **os.environ,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{emulator.address}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": PROJECT.removeprefix("projects/"),
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "REGION": "europe-west1",
            "PUSH": "push@runbook.iam.gserviceaccount.com",
        }
        done = subprocess.run(
            ["sh", "-euc", block], env=environment, capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == 0, done.stderr

    gcloud(stop)
    assert endpoints() == ["", ""]
    # The address is Cloud Run's to tell, and `doctor` is run above.
    by_hand = re.sub(r"URL=.*", "URL=http://127.0.0.1:9/", resume).partition("xcapi")[0]
    gcloud(by_hand)
    assert endpoints() == ["http://127.0.0.1:9/"] * 2
