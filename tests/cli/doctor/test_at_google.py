"""What `xcapi doctor` says of topics and subscriptions, against Google's Pub/Sub emulator."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from google.auth.exceptions import DefaultCredentialsError

from tests.cli.doctor.test_at_x import checks_of
from tests.cli.google_services import LocalMonitoring
from tests.cli.sandboxed import configuration
from tests.services import emulator
from xcapi_core.cli.doctor import at_google
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.cli.google.monitoring import WAITING
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator"]

pytestmark = pytest.mark.e2e

PROJECT = "projects/doctor"
Found = list[dict[str, Any]]


def policy(topic: str, attempts: int) -> dict[str, object]:
    return {"dead_letter_topic": topic, "max_delivery_attempts": attempts}


class Cloud:
    """Topics and subscriptions of one test."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.publisher = new_publisher()
        self.subscriber = new_subscriber()
        unique = uuid.uuid4().hex[:8]
        self.topic, self.dead_letters, self.remainder = (
            f"{PROJECT}/topics/{name}-{unique}" for name in ("events", "dead-letter", "remainder")
        )
        self.subscription = f"{PROJECT}/subscriptions/events-{unique}"

    def subscribe(self, topic: str, **changes: object) -> str:
        """Make a push subscription as the module makes it, with changes."""
        name = self.subscription if topic == self.topic else topic.replace("/topics/", "/subscriptions/")
        good: dict[str, object] = {
            "name": name,
            "topic": topic,
            "ack_deadline_seconds": 75,
            "push_config": {
                "push_endpoint": "http://127.0.0.1:9/",
                "oidc_token": {"service_account_email": "push@doctor.iam.gserviceaccount.com"},
            },
            "dead_letter_policy": {"dead_letter_topic": self.dead_letters, "max_delivery_attempts": 100},
            "retry_policy": {"minimum_backoff": "10s", "maximum_backoff": "600s"},
        }
        request = {key: value for key, value in {**good, **changes}.items() if value is not None}
        self.subscriber.create_subscription(request=request)
        return name

    def found(self, *more: str) -> tuple[int, Found]:
        """Run `doctor`; return the exit code and the checks at Google."""
        code, checks = checks_of("--config", self.config, *more)
        return code, [check for check in checks if not check.get("pixel_id")]


@pytest.fixture
def cloud(emulator: PubsubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    with SandboxServer() as sandbox:
        made = Cloud(tmp_path)
        topics = {"dead_letter_topic": made.dead_letters, "remainder_topic": made.remainder}
        made.config = configuration(sandbox, tmp_path, **topics)
        yield made


def statuses(found: Found, name: str) -> list[str]:
    return [check["status"] for check in found if check["check"] == name]


def test_what_the_module_makes_is_well(cloud: Cloud) -> None:
    for topic in (cloud.topic, cloud.dead_letters, cloud.remainder):
        cloud.publisher.create_topic(name=topic)
    cloud.subscribe(cloud.topic)
    cloud.subscribe(cloud.remainder)
    cloud.subscribe(cloud.dead_letters, push_config=None, dead_letter_policy=None, retry_policy=None)
    code, found = cloud.found("--topic", cloud.topic, "--subscription", cloud.subscription)
    assert code == 0, json.dumps(found, indent=1)
    assert statuses(found, "topic") == ["ok"] * 3
    assert statuses(found, "subscription") == ["ok"] * 2
    assert statuses(found, "dead_letter_subscription") == ["ok"]
    assert statuses(found, "permissions") == ["skipped"]


def test_what_is_not_told_is_skipped_and_what_is_missing_fails(cloud: Cloud) -> None:
    code, found = cloud.found()
    assert code == 1
    assert statuses(found, "topic") == ["skipped", "failed", "failed"]
    assert statuses(found, "subscription")[0] == "skipped"
    assert all("terraform apply" in check["fix"] for check in found if check["status"] == "failed")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ack_deadline_seconds": 60}, "the ack deadline must be 70 s or more"),
        ({"dead_letter_policy": None}, "no dead-letter policy"),
        ({"retry_policy": None}, "no back-off"),
        ({"push_config": None}, "no push endpoint"),
        (
            {"dead_letter_policy": {"dead_letter_topic": "{remainder}", "max_delivery_attempts": 100}},
            "it dead-letters to",
        ),
        ({"dead_letter_policy": {"dead_letter_topic": "{dead}", "max_delivery_attempts": 5}}, "5 delivery attempts"),
    ],
)
def test_subscription_that_loses_or_hammers_is_told(cloud: Cloud, change: dict[str, Any], words: str) -> None:
    for topic in (cloud.topic, cloud.dead_letters, cloud.remainder):
        cloud.publisher.create_topic(name=topic)
    names = {"{remainder}": cloud.remainder, "{dead}": cloud.dead_letters}
    text = json.dumps(change)
    for name, topic in names.items():
        text = text.replace(name, topic)
    cloud.subscribe(cloud.topic, **json.loads(text))
    code, found = cloud.found("--subscription", cloud.subscription)
    assert code == 1
    (first, *_) = [check for check in found if check["check"] == "subscription"]
    assert words in first["found"]


@pytest.mark.parametrize(("waiting", "status"), [(0, "ok"), (12, "warning")])
def test_backlog_of_dead_letters_is_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, waiting: int, status: str
) -> None:
    cloud.publisher.create_topic(name=cloud.dead_letters)
    name = cloud.subscribe(cloud.dead_letters, push_config=None, dead_letter_policy=None, retry_policy=None)
    with LocalMonitoring({(WAITING, name.rpartition("/")[2]): waiting}) as monitoring:
        monkeypatch.setenv("CLOUD_MONITORING_EMULATOR_HOST", monitoring.address)
        _, found = cloud.found()
    (check,) = [check for check in found if check["check"] == "dead_letter_subscription"]
    assert (check["status"], f"{waiting} waiting" in check["found"]) == (status, True)
    assert ("xcapi dlq list" in check["fix"]) is (waiting > 0)


def test_each_check_has_its_name_where_nobody_is_signed_in(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> NoReturn:
        raise DefaultCredentialsError

    monkeypatch.setattr(at_google, "new_publisher", nobody)
    code, found = cloud.found()
    assert code == 1
    failed = [check["check"] for check in found if check["status"] == "failed"]
    assert failed == ["topic", "topic", "subscription", "dead_letter_subscription"]


def test_dead_letters_that_nobody_collects_are_told(cloud: Cloud) -> None:
    cloud.publisher.create_topic(name=cloud.dead_letters)
    code, found = cloud.found()
    assert code == 1
    assert "every dead letter is lost" in next(
        check["found"] for check in found if check["check"] == "dead_letter_subscription"
    )
