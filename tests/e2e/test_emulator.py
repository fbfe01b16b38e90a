"""Google's own Pub/Sub emulator pushes at the function, retries, and collects the dead letters."""

import itertools
import json
import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import NewConfig, NewPath, StartFunction
from tests.e2e.push import event, new_id
from tests.e2e.stack import wait_for
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.pubsub import DeadLetter
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

pytestmark = pytest.mark.e2e


def _collector(emulator: PubsubEmulator, subscription: str) -> Callable[[], list[DeadLetter]]:
    dead_letters: list[DeadLetter] = []

    def collect() -> list[DeadLetter]:
        dead_letters.extend(emulator.pull(subscription, timeout_s=0.1))
        return dead_letters

    return collect


def test_from_topic_to_x_and_to_the_dead_letter_topic(  # noqa: PLR0917 - its fixtures
    emulator: PubsubEmulator,
    sandbox: SandboxServer,
    secret_manager: LocalSecretManager,
    new_config: NewConfig,
    new_path: NewPath,
    start_function: StartFunction,
) -> None:
    """Good events, bad ones, an outage that heals, and one that outlasts the delivery attempts."""
    topics = new_path()
    function = start_function(
        new_config(dead_letter_topic=topics.dead_letter_topic, request_timeout_s=5, settle_timeout_s=15),
        pubsub_address=emulator.address,
        secret_manager_address=secret_manager.address,
    )
    path = new_path(function.url, ack_deadline_s=24, min_backoff_s=1, max_backoff_s=1, max_delivery_attempts=5)
    emulator.provision(topics)
    emulator.provision(path)
    dead_letters = _collector(emulator, topics.dead_letter_subscription)

    good = [event() for _ in range(20)]
    emulator.publish(path.topic, json.dumps(good[:19]).encode())
    emulator.publish(path.topic, json.dumps(good[19]).encode(), {"shop": "7"})
    bad = b' {"event_id" :"tw-o8z6j-nobody", "email":"nobody@example.com", "conversion_id": "bad"} '
    emulator.publish(path.topic, bad, {"shop": "8"})
    emulator.publish(path.topic, b"no json")
    wait_for(lambda: len(dead_letters()) == 2)
    by_reason = {dead_letter.attributes["xcapi_reason"]: dead_letter for dead_letter in dead_letters()}
    assert by_reason["rejected"].data == bad
    assert by_reason["rejected"].attributes["shop"] == "8"
    assert by_reason["rejected"].attributes["xcapi_publish_time"].endswith("Z")
    assert by_reason["invalid_message"].data == b"no json"
    wait_for(lambda: len(sandbox.accepted()) == 20)

    # Two refusals by X's weather, then it passes: Pub/Sub's retry brings the event back.
    sandbox.inject({"status": 503, "times": 2})
    late = event()
    emulator.publish(path.topic, json.dumps(late).encode())
    wait_for(lambda: late["conversion_id"] in [one["conversion_id"] for one in sandbox.accepted()])
    attempts = [record for record in sandbox.requests() if record.status in {200, 503}][-3:]
    assert [record.status for record in attempts] == [503, 503, 200]
    gaps = [b.received_at - a.received_at for a, b in itertools.pairwise(attempts)]
    assert min(gaps) > 0.9

    # What outlasts the attempts is forwarded by Pub/Sub itself, without a reason of ours.
    sandbox.inject({"status": 503})
    lost = json.dumps(event(conversion_id=new_id())).encode()
    emulator.publish(path.topic, lost)
    exhausted = _collector(emulator, path.dead_letter_subscription)
    wait_for(lambda: len(exhausted()) == 1)
    (dead_letter,) = exhausted()
    assert dead_letter.data == lost
    assert "xcapi_reason" not in dead_letter.attributes
    time.sleep(0.5)
    assert len(dead_letters()) == 2
    accepted = [one["conversion_id"] for one in sandbox.accepted()]
    assert sorted(accepted) == sorted(str(one["conversion_id"]) for one in [*good, late])
    assert not [line for line in function.lines if "crashed" in line]
