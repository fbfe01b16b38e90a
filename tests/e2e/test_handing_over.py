"""What must wait goes to the remainder topic: through Google's own emulator and back, and at SIGTERM in time."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.e2e.conftest import NewConfig, NewPath, StartFunction
from tests.e2e.nasty_x import NastyX, Received, well
from tests.e2e.push import event, new_id, push, push_all
from tests.e2e.stack import wait_for
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath, LocalPubsub
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

pytestmark = pytest.mark.e2e

OPEN_DELIVERIES = 240


def ours() -> dict[str, object]:
    return event(event_id=None, event="purchase", pixel_id="o8z6j", conversion_id=new_id("o"))


def theirs() -> dict[str, object]:
    return event(event_id=None, event="purchase", pixel_id="p9q7k", conversion_id=new_id("p"))


class Reader:
    """A subscription of one's own to the remainder topic."""

    def __init__(self, pubsub: LocalPubsub, path: DeliveryPath) -> None:
        self._pubsub = pubsub
        self._subscription = f"{path.subscription}-reader"
        self.seen: list[DeadLetter] = []
        remainder = path.remainder()
        # Topics that nothing is published to, and a pull subscription to the one that counts.
        pubsub.provision(
            replace(
                path,
                topic=f"{path.topic}-unused",
                subscription=f"{path.subscription}-unused",
                push_endpoint="http://127.0.0.1:9/",
                dead_letter_topic=remainder.topic,
                dead_letter_subscription=self._subscription,
            )
        )

    def read(self) -> list[DeadLetter]:
        self.seen += self._pubsub.pull(self._subscription, timeout_s=0.2)
        return self.seen


def accepted(sandbox: SandboxServer) -> Counter[str]:
    return Counter(record["conversion_id"] for record in sandbox.accepted())


def test_remainder_goes_through_google_s_emulator_and_is_delivered(  # noqa: PLR0917 - its fixtures
    emulator: PubsubEmulator,
    sandbox: SandboxServer,
    secret_manager: LocalSecretManager,
    new_config: NewConfig,
    new_path: NewPath,
    start_function: StartFunction,
) -> None:
    names = new_path()
    function = start_function(
        new_config(
            dead_letter_topic=names.dead_letter_topic,
            remainder_topic=names.remainder().topic,
            request_timeout_s=5,
            settle_timeout_s=15,
        ),
        pubsub_address=emulator.address,
        secret_manager_address=secret_manager.address,
    )
    path = replace(names, push_endpoint=function.url, ack_deadline_s=24, min_backoff_s=1, max_backoff_s=1)
    reader = Reader(emulator, path)
    emulator.provision(path.remainder())
    emulator.provision(path)
    sandbox.inject({"status": 503, "pixel_id": "p9q7k"})
    skipped = {**theirs(), "consent": False}
    events = [ours(), theirs(), theirs(), skipped, ours(), theirs()]
    message_id = emulator.publish(path.topic, json.dumps(events).encode(), {"shop": "7", "format": "x"})
    wait_for(reader.read)
    (remainder,) = reader.seen
    assert json.loads(remainder.data) == [events[1], events[2], events[5]]
    published_at = remainder.attributes["xcapi_publish_time"]
    assert remainder.attributes == {
        "shop": "7",
        "format": "x",
        "xcapi_message_id": message_id,
        "xcapi_publish_time": published_at,
        "xcapi_event_indices": "1-2,5",
    }
    assert published_at.endswith("Z")
    assert accepted(sandbox).keys() == {events[0]["conversion_id"], events[4]["conversion_id"]}

    sandbox.clear_faults()
    due = {str(one["conversion_id"]) for one in events if "consent" not in one}
    wait_for(lambda: accepted(sandbox).keys() == due)
    assert set(accepted(sandbox).values()) == {1}
    assert len(reader.read()) == 1, "what is settled whole leaves no further remainder"
    assert emulator.pull(names.dead_letter_subscription, timeout_s=0.2) == []
    wait_for(lambda: sum("oldest_event_age_s" in json.loads(line) for line in function.lines) >= 2)


async def test_sigterm_hands_over_hundreds_of_open_deliveries_before_the_instance_is_killed(
    secret_manager: LocalSecretManager,
    embedded_pubsub: EmbeddedPubsub,
    new_config: NewConfig,
    new_path: NewPath,
    start_function: StartFunction,
) -> None:
    """Each has an event that X took, and one for a pixel whose requests hang."""

    async def hang_for_theirs(request: Received, writer: asyncio.StreamWriter) -> None:
        if "p9q7k" in request.path:
            await asyncio.sleep(60)
        await well(request, writer)

    path = new_path()
    reader = Reader(embedded_pubsub, path)
    with NastyX() as x:
        x.behave = hang_for_theirs
        function = start_function(
            new_config(
                api_base_url=x.url,
                dead_letter_topic=path.dead_letter_topic,
                remainder_topic=path.remainder().topic,
                request_timeout_s=20,
                settle_timeout_s=50,
            ),
            pubsub_address=embedded_pubsub.address,
            secret_manager_address=secret_manager.address,
        )
        messages = [[ours(), theirs()] for _ in range(OPEN_DELIVERIES)]
        pushed = asyncio.create_task(push_all(function.url, messages, at_once=OPEN_DELIVERIES))
        taken: list[str] = []
        async with asyncio.timeout(100):
            while len(taken) < OPEN_DELIVERIES:
                await asyncio.sleep(0.1)
                taken = [str(one["conversion_id"]) for request in x.received for one in request.conversions]
                taken = [name for name in taken if name.startswith("o")]
        await asyncio.to_thread(function.stop, grace_s=60)
        answers = await pushed
    assert Counter(answer.status for answer in answers) == {204: OPEN_DELIVERIES}
    assert len(taken) == len(set(taken)), "nothing was sent twice"
    remainders = reader.read()
    waiting = [json.loads(remainder.data)["conversion_id"] for remainder in remainders]
    assert sorted(waiting) == sorted(str(message[1]["conversion_id"]) for message in messages)
    assert {remainder.attributes["xcapi_event_indices"] for remainder in remainders} == {"1"}
    requests = [
        entry["messages"] for entry in map(json.loads, function.lines) if entry["event"] == "remainder.published"
    ]
    assert len(requests) < OPEN_DELIVERIES / 10, "deliveries share publish requests"


async def test_sigterm_in_the_middle_of_a_large_message_hands_over_what_is_left_of_it(
    secret_manager: LocalSecretManager,
    embedded_pubsub: EmbeddedPubsub,
    new_config: NewConfig,
    new_path: NewPath,
    start_function: StartFunction,
) -> None:
    """10,000 events at 500 a request: some are with X, some in flight, some not even read."""

    async def slow(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5 if len(x.received) < 6 else 3)  # what is in flight at SIGTERM has six
        await well(request, writer)

    path = new_path()
    reader = Reader(embedded_pubsub, path)
    with NastyX() as x:
        x.behave = slow
        function = start_function(
            new_config(
                api_base_url=x.url, dead_letter_topic=path.dead_letter_topic, remainder_topic=path.remainder().topic
            ),
            pubsub_address=embedded_pubsub.address,
            secret_manager_address=secret_manager.address,
        )
        events = [ours() for _ in range(10_000)]
        pushed = asyncio.create_task(push(function.url, events))
        await asyncio.to_thread(wait_for, lambda: len(x.received) >= 6)
        await asyncio.to_thread(function.stop, grace_s=60)
        assert (await pushed).status == 204
        sent = [str(one["conversion_id"]) for request in x.received for one in request.conversions]
    waiting = [one["conversion_id"] for remainder in reader.read() for one in json.loads(remainder.data)]
    assert 0 < len(sent) < len(events)
    assert sorted([*sent, *waiting]) == sorted(str(one["conversion_id"]) for one in events), "each once, here or there"
    assert max(len(json.loads(remainder.data)) for remainder in reader.seen) == 500
