"""Pub/Sub that is away for a moment, or for longer than somebody waits."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.pubsub_v1.types import (
    DeleteSubscriptionRequest,
    ListSubscriptionsRequest,
    ListSubscriptionsResponse,
    Subscription,
)

from tests.cli.queues import PROJECT
from xcapi_core.cli.google import errors
from xcapi_core.cli.google.clients import new_subscriber
from xcapi_core.cli.group import xcapi
from xcapi_core.cli.listen.temporary import temporary_subscription
from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcRefusal, LocalGrpcService

TOPIC = f"projects/{PROJECT}/topics/t"


class FlakyPubsub(LocalGrpcService):
    """Answers each method only from its call `away_for` + 1 on; until then Pub/Sub is not available."""

    def __init__(self, away_for: int) -> None:
        self.away_for = away_for
        self.calls: Counter[str] = Counter()
        methods = {
            "CreateSubscription": GrpcMethod(Subscription, Subscription, self._after("create", lambda made: made)),
            "ListSubscriptions": GrpcMethod(
                ListSubscriptionsRequest,
                ListSubscriptionsResponse,
                self._after("list", lambda _: ListSubscriptionsResponse()),
            ),
            # Pub/Sub answers google.protobuf.Empty: no bytes, as an empty message of any type.
            "DeleteSubscription": GrpcMethod(
                DeleteSubscriptionRequest, Subscription, self._after("delete", lambda _: Subscription())
            ),
        }
        super().__init__({"google.pubsub.v1.Subscriber": methods})

    def _after(self, name: str, answer: Callable[[object], object]) -> Callable[[object], object]:
        def call(request: object) -> object:
            self.calls[name] += 1
            if self.calls[name] <= self.away_for:
                raise GrpcRefusal("UNAVAILABLE", "away")
            return answer(request)

        return call


def test_what_goes_by_itself_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with FlakyPubsub(away_for=2) as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        with temporary_subscription(new_subscriber(), TOPIC) as name:
            assert name.startswith(f"projects/{PROJECT}/subscriptions/xcapi-listen-")
    assert pubsub.calls == {"list": 3, "create": 3, "delete": 3}


@pytest.mark.timeout(100)  # the clients' own retry goes on for 60 s, twice
def test_pubsub_that_stays_away_is_a_sentence_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(errors, "_BRIEFLY_S", 0.5)
    config = tmp_path / "config.json"
    pixels = {"o8z6j": {"credentials": "env:KEYS"}}
    config.write_text(json.dumps({"pixels": pixels, "dead_letter_topic": f"{TOPIC}-dead-letters"}))
    with FlakyPubsub(away_for=1_000) as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        result = CliRunner().invoke(xcapi, ["listen", "--topic", TOPIC, "--config", str(config)])
    assert result.exit_code == 1, result.output
    assert f"The topic {TOPIC}: " in result.stderr
    assert "is the network there" in result.stderr
    assert pubsub.calls["create"] > 1
