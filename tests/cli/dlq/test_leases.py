"""Leases of dead letters: kept alive while they are held, and what a lost one means. Google's emulator grants them."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1.services.subscriber import SubscriberClient

from tests.cli.queues import Queues, purchase, summary
from xcapi_core.cli.dlq import leases as leases_module
from xcapi_core.cli.dlq.choosing import Looking
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.filters import Filters
from xcapi_core.cli.dlq.leases import Leases
from xcapi_core.cli.dlq.sweeping import Sweep
from xcapi_core.cli.stop import Stop

pytestmark = pytest.mark.e2e

COUNT = 30
# The shortest that Pub/Sub grants.
LEASE_S = 10


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "LEASE_S", LEASE_S)


def orders(queues: Queues) -> list[int]:
    return sorted(json.loads(message.data)["order_id"] for message in queues.waiting("remainder"))


def fill(queues: Queues) -> None:
    for number in range(COUNT):
        queues.dead_letter(purchase(number))


def test_leases_are_renewed_for_as_long_as_it_takes(queues: Queues) -> None:
    """The last are published long after the lease with which they were pulled."""
    fill(queues)
    result = queues.run("dlq", "replay", "--rate", "2", "--json")
    assert result.exit_code == 0, result.output
    assert [summary(result)[name] for name in ("chosen", "published", "acked", "left")] == [COUNT, COUNT, COUNT, 0]
    assert orders(queues) == list(range(COUNT))


def test_lease_that_ran_out_loses_nothing_and_nothing_of_it_is_sent_twice(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody renews: what is still held after ten seconds is somebody else's, comes again, and goes then."""
    monkeypatch.setattr(Leases, "_keep_alive", lambda self: self._is_over.wait())
    fill(queues)
    result = queues.run("dlq", "replay", "--rate", "2", "--json")
    assert result.exit_code == 0, result.output
    assert [summary(result)[name] for name in ("chosen", "published", "acked", "left")] == [COUNT, COUNT, COUNT, 0]
    assert orders(queues) == list(range(COUNT))
    assert queues.waiting("dead-letter") == []


def test_ack_that_fails_costs_at_most_what_was_on_its_way(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published and not acked, as after a crash between the two: a second run sends that one request again."""
    fill(queues)
    acknowledge, calls = SubscriberClient.acknowledge, []

    def broken(self: SubscriberClient, **options: Any) -> None:
        calls.append(len(options["ack_ids"]))
        if len(calls) == 2:
            raise exceptions.GoogleAPIError
        acknowledge(self, **options)

    monkeypatch.setattr(SubscriberClient, "acknowledge", broken)
    result = queues.run("dlq", "replay", "--rate", "10", "--json")
    assert result.exit_code == 1
    assert "a second run would send them twice" in result.output
    monkeypatch.setattr(SubscriberClient, "acknowledge", acknowledge)
    assert queues.run("dlq", "replay", "--json").exit_code == 0
    sent = orders(queues)
    assert set(sent) == set(range(COUNT))
    assert len(sent) - COUNT == calls[1] <= 10


def test_laptop_that_slept_publishes_and_deletes_nothing_that_is_no_longer_its_own(queues: Queues) -> None:
    """The wall clock goes on while a machine sleeps, and so do leases."""
    fill(queues)
    slept_s = 0.0
    taken: list[DeadLetter] = []
    with Leases(queues.subscriber, queues.subscription("dead-letter"), lambda: time.time() + slept_s) as leases:
        sweep = Sweep(queues.subscriber, queues.subscription("dead-letter"), leases, Stop())
        looking = Looking(Filters(limit=COUNT), taken.append)
        sweep.run(lambda some: looking.handle(some, sweep), lambda: None)
        ids = [one.message_id for one in taken]
        assert leases.alive(ids) == set(ids)
        slept_s = LEASE_S
        assert leases.alive(ids) == set()
        assert len(leases) == 0


def test_discard_deletes_nothing_whose_lease_ran_out_before_the_answer(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody went for lunch with the question on the screen: the count must not say "deleted"."""
    fill(queues)
    monkeypatch.setattr(Leases, "alive", lambda *_: set())
    result = queues.run("dlq", "discard", "--yes", "--json")
    assert result.exit_code == 1
    assert (summary(result)["chosen"], summary(result)["acked"], summary(result)["left"]) == (COUNT, 0, COUNT)
    assert len(queues.waiting("dead-letter")) == COUNT


class CountingSubscriber:
    """Takes requests and remembers how many ids each had."""

    def __init__(self) -> None:
        self.requests: list[Sequence[str]] = []

    def modify_ack_deadline(self, *, ack_ids: Sequence[str], **_: object) -> None:
        self.requests.append(ack_ids)

    acknowledge = modify_ack_deadline


@pytest.mark.parametrize(("length", "most"), [(10, 1_000), (900, 500_000 // 900)])
def test_requests_keep_the_limits_that_the_emulator_does_not(length: int, most: int) -> None:
    subscriber = CountingSubscriber()
    leases = Leases(subscriber, "projects/p/subscriptions/s")  # type: ignore[arg-type]  # as much of it as is called
    now = datetime.now(UTC)
    held = [
        DeadLetter(message_id=str(number), ack_id=f"{number:0{length}}", data=b"", attributes={}, publish_time=now)
        for number in range(2_500)
    ]
    leases.take(held)
    assert [len(ids) for ids in subscriber.requests] == [*[most] * (2_500 // most), 2_500 % most]
    subscriber.requests.clear()
    leases.ack([one.message_id for one in held])
    assert max(map(len, subscriber.requests)) == most
    assert sum(map(len, subscriber.requests)) == 2_500
    assert len(leases) == 0


def test_message_that_comes_again_is_taken_once_and_acked_by_its_newest_id() -> None:
    subscriber = CountingSubscriber()
    leases = Leases(subscriber, "projects/p/subscriptions/s")  # type: ignore[arg-type]  # as above
    now = datetime.now(UTC)
    first, again = (
        DeadLetter(message_id="1", ack_id=ack_id, data=b"", attributes={}, publish_time=now) for ack_id in "ab"
    )
    assert leases.take([first]) == [first]
    assert leases.take([again]) == []
    subscriber.requests.clear()
    leases.ack(["1"])
    assert subscriber.requests == [["b"]]
    assert leases.take([again]) == []
    assert subscriber.requests[-1] == ["b"], "acked before, so it is acked again"
