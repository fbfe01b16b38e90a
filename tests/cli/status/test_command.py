"""`xcapi status` from Monitoring and Logging by the official clients, and from Pub/Sub's emulator."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.google_services import LocalLogging, LocalMonitoring
from tests.services import emulator
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.cli.google.monitoring import OLDEST_AGE_S, WAITING
from xcapi_core.cli.status.command import status
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator"]

pytestmark = pytest.mark.e2e


class Cloud:
    """A project with dead letters and events waiting, and an hour of the function's log."""

    def __init__(self, folder: Path) -> None:
        self.dead_letters = f"dead-letter-{uuid.uuid4().hex[:8]}"
        topic = f"projects/status/topics/{self.dead_letters}"
        new_publisher().create_topic(name=topic)
        new_subscriber().create_subscription(name=f"projects/status/subscriptions/{self.dead_letters}", topic=topic)
        pixel = {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}
        self.config = folder / "config.json"
        self.config.write_text(json.dumps({"dead_letter_topic": topic, "pixels": {"o8z6j": pixel}}))
        self.log = LocalLogging()
        self.monitoring = LocalMonitoring({})

    def said(self, event: str, minutes_ago: float, **fields: object) -> None:
        """Write a line of the log."""
        self.log.lines.append((datetime.now(UTC) - timedelta(minutes=minutes_ago), {"event": event, **fields}))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(status, ["--config", str(self.config), *arguments])

    def summary(self, *arguments: str) -> dict[str, Any]:
        result = self.run("--json", *arguments)
        found = json.loads(result.stdout.splitlines()[-1])["summary"]
        assert result.exit_code == (1 if found["troubles"] else 0)
        return dict(found)


@pytest.fixture
def cloud(emulator: PubsubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    made = Cloud(tmp_path)
    with made.log, made.monitoring:
        monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", made.log.address)
        monkeypatch.setenv("CLOUD_MONITORING_EMULATOR_HOST", made.monitoring.address)
        yield made


def test_backlogs_and_the_log_are_told(cloud: Cloud) -> None:
    cloud.monitoring.values |= {
        (WAITING, "events"): 1_200,
        (OLDEST_AGE_S, "events"): 5_400,
        (WAITING, cloud.dead_letters): 3,
        (OLDEST_AGE_S, cloud.dead_letters): 86_400,
    }
    cloud.said("delivery.settled", 10, delivered=400, rejected=2)
    cloud.said("delivery.deferred", 9, delivered=50, deferred=7, invalid_event=1)
    cloud.said("batch.delivered", 8, pixel_id="o8z6j", conversions=450)
    result = cloud.run("--subscription", "events", "--json")
    events, dead_letters, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert (events["queue"], events["waiting"], events["oldest_s"]) == ("events", 1_200, 5_400)
    assert (dead_letters["queue"], dead_letters["waiting"]) == ("dead letters", 3)
    summary = last["summary"]
    assert (summary["delivered"], summary["deferred"]) == (450, 7)
    assert summary["dead_letters"] == {"rejected": 2, "invalid_event": 1}
    assert summary["last_delivery"] is not None
    shown = cloud.run("--subscription", "events").stdout
    assert "1,200" in shown
    assert "1.5 h" in shown
    assert "8.0 min ago" in shown
    assert "2 rejected, 1 invalid_event" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("event", "fields", "words"),
    [
        ("pixel.refuses_everything", {}, "refuses everything"),
        ("batch.unauthorized", {"http_status": 401}, "refuses the keys"),
        ("batch.deferred", {"http_status": 429}, "rate limit"),
        ("batch.deferred", {"cause": "timeout"}, "unwell or unreachable"),
    ],
)
def test_pause_is_told_until_the_pixel_delivers_again(
    cloud: Cloud, event: str, fields: dict[str, object], words: str
) -> None:
    cloud.said(event, 2, pixel_id="o8z6j", **fields)
    assert words in cloud.summary()["pauses"]["o8z6j"]
    cloud.said("batch.delivered", 1, pixel_id="o8z6j")
    assert not cloud.summary()["pauses"]["o8z6j"]


def test_old_trouble_and_other_hours_are_left_out(cloud: Cloud) -> None:
    cloud.said("batch.deferred", 30, pixel_id="o8z6j", http_status=429)
    cloud.said("delivery.settled", 90, delivered=5)
    assert cloud.summary()["pauses"] == {}
    assert cloud.summary()["delivered"] == 0
    assert cloud.summary("--since", "2h")["delivered"] == 5


def test_dry_run_that_was_left_on_is_told(cloud: Cloud) -> None:
    cloud.said("service.dry_run", 5)
    assert cloud.summary()["dry_run"]
    assert "conversions are being discarded" in cloud.run().stdout


def test_service_that_cannot_be_asked_does_not_hide_the_others(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.said("delivery.settled", 1, delivered=5)
    monkeypatch.setenv("CLOUD_MONITORING_EMULATOR_HOST", "127.0.0.1:9")
    summary = cloud.summary()
    assert summary["delivered"] == 5
    assert "Cloud Monitoring" in summary["troubles"][0]


def test_what_only_an_unread_log_tells_is_unknown_and_not_none(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.said("delivery.settled", 1, delivered=5, rejected=1)
    monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", "127.0.0.1:9")
    shown = cloud.run("--subscription", "events")
    assert shown.exit_code == 1
    assert "dead letters   unknown" in shown.stdout
    assert "none" not in shown.stdout
    assert "0 delivered" not in shown.stdout
    assert "Cloud Logging" in shown.stdout
    summary = cloud.summary()
    assert {summary[name] for name in ("delivered", "deferred", "last_delivery", "dead_letters", "pauses")} == {None}
