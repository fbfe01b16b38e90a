"""Topics and subscriptions of a test's own in the emulator, and the command line beside them."""

import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.types import PubsubMessage, PullRequest, Subscription, Topic

from xcapi_core.cli.group import xcapi

__all__ = ["PROJECT", "Queues", "hours_ago", "purchase", "rows", "summary"]

PROJECT = "cli-test"
_numbers = itertools.count(1)


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def purchase(number: int = 1, **more: object) -> dict[str, object]:
    event = {"event": "purchase", "order_id": number, "email": f"jane{number}@example.com", "time": hours_ago(1)}
    return {**event, **more}


@dataclass(frozen=True)
class Queues:
    """A dead-letter topic and a remainder topic, each with one subscription."""

    publisher: PublisherClient
    subscriber: SubscriberClient
    name: str

    @classmethod
    def make(cls, publisher: PublisherClient, subscriber: SubscriberClient) -> "Queues":
        queues = cls(publisher, subscriber, f"cli-{os.getpid()}-{next(_numbers)}")
        for kind in ("dead-letter", "remainder"):
            publisher.create_topic(Topic(name=queues.topic(kind)))
            subscriber.create_subscription(
                Subscription(name=queues.subscription(kind), topic=queues.topic(kind), ack_deadline_seconds=60)
            )
        return queues

    def topic(self, kind: str) -> str:
        return f"projects/{PROJECT}/topics/{self.name}-{kind}"

    def subscription(self, kind: str) -> str:
        return f"projects/{PROJECT}/subscriptions/{self.name}-{kind}"

    def configuration(self) -> dict[str, object]:
        return {
            "dead_letter_topic": self.topic("dead-letter"),
            "remainder_topic": self.topic("remainder"),
            "default_pixel": "o8z6j",
            "pixels": {
                "o8z6j": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}},
                "p2abc": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-p2abc-1"}},
            },
        }

    def dead_letter(self, data: object, reason: str | None = "rejected", **attributes: str) -> str:
        encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
        given = {f"xcapi_{name}": value for name, value in attributes.items()}
        if reason is not None:
            given = {"xcapi_reason": reason, "xcapi_pixel_id": "o8z6j", **given}
        return self.publish(encoded, given)

    def publish(self, data: bytes, attributes: Mapping[str, str], kind: str = "dead-letter") -> str:
        message = PubsubMessage(data=data, attributes=dict(attributes))
        return self.publisher.publish(topic=self.topic(kind), messages=[message]).message_ids[0]

    def waiting(self, kind: str) -> list[Any]:
        """Take out and return what waits; nothing is held by anybody at this time."""
        messages: list[Any] = []
        empty = 0
        while empty < 3:
            answer = self.subscriber.pull(
                PullRequest(subscription=self.subscription(kind), max_messages=1000, return_immediately=True)
            )
            if not answer.received_messages:
                empty += 1
                time.sleep(0.05)
                continue
            empty = 0
            self.subscriber.acknowledge(
                subscription=self.subscription(kind), ack_ids=[held.ack_id for held in answer.received_messages]
            )
            messages += [held.message for held in answer.received_messages]
        return messages

    def run(self, *arguments: str, config: Mapping[str, object] | None = None, stdin: str | bytes = "") -> Result:
        path = Path("config.json")
        path.write_text(json.dumps(self.configuration() if config is None else config))
        return CliRunner().invoke(xcapi, [*arguments, "--config", str(path)], input=stdin)


def summary(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])["summary"]
    return found


def rows(result: Result) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()[:-1]]
