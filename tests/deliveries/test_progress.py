"""Nothing goes round in circles: how much is published again while time, budget or X do not suffice."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.benchmarks.details.progress import SITUATIONS, Situation, run_situation
from tests.fakes import FakeX, delivery, failed, ok
from tests.handling import HandlerRig, event
from tests.virtual_pubsub import VirtualPubsub
from tests.virtual_time import VirtualLoop
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.protocol import HttpResponse

# The benchmark has them whole; a few messages of each, and a budget that is smaller than a remainder, are enough here.
FEW = (
    *(replace(situation, messages=situation.messages[:3]) for situation in SITUATIONS[1:]),
    replace(SITUATIONS[0], messages=[range(2_000)], rate_events=50),
    replace(SITUATIONS[0], name="a budget of 120, half a remainder", messages=[range(2_000)], rate_events=120),
)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("situation", FEW, ids=lambda situation: situation.name)
def test_about_twice_the_bytes_are_published_at_most(situation: Situation) -> None:
    spent = run_situation(situation)
    assert spent.exhausted == 0
    assert spent.times_the_bytes <= 2.5


def minds_c0(conversions: list[dict[str, object]]) -> HttpResponse:
    unnamed = {"code": "INVALID_PARAMETER", "message": "At least one user identifier must be provided"}
    return failed(400, unnamed) if any(item["conversion_id"] == "c0" for item in conversions) else ok(len(conversions))


def test_remainders_hold_as_many_as_a_delivery_settles_where_time_runs_out(loop: VirtualLoop) -> None:
    """Four requests of 20 at a time, and X takes 9 s: four rounds in the 35 s that a delivery has for them."""
    pubsub = VirtualPubsub(loop.time)
    rig = HandlerRig(
        FakeX(latency_s=9.0),
        remainder=pubsub,
        clock=loop.time,
        batch=BatchSettings(max_conversions=20, max_in_flight=4),
    )
    loop.run(pubsub.deliver(rig.handler.handle, [json.dumps([event(f"c{n}") for n in range(1_000)]).encode()]))
    sizes = [len(one.event_indices) for one in pubsub.remainders]
    assert sizes[:2] == [320, 320]
    assert sorted(rig.sent) == sorted(f"c{n}" for n in range(1_000))


def test_bisection_that_a_delivery_has_no_time_for_ends_all_the_same(loop: VirtualLoop) -> None:
    """The bad one is the first of each half: four requests, of 9 s each, find nothing in a delivery's time."""
    pubsub = VirtualPubsub(loop.time)
    rig = HandlerRig(FakeX(minds_c0, latency_s=9.0), remainder=pubsub, clock=loop.time)
    loop.run(pubsub.deliver(rig.handler.handle, [json.dumps([event(f"c{n}") for n in range(100)]).encode()]))
    assert pubsub.exhausted == 0
    assert rig.reasons == ["rejected"]
    assert rig.dead_letters.messages[0].attributes["xcapi_conversion_id"] == "c0"
    accepted = [names for names in rig.x.requests if "c0" not in names]
    assert sorted(name for names in accepted for name in names) == sorted(f"c{n}" for n in range(1, 100))


def test_suspects_go_in_small_batches_and_one_by_one_after_that(loop: VirtualLoop) -> None:
    rig = HandlerRig(FakeX(minds_c0, latency_s=9.0), clock=loop.time)
    message = json.dumps([event(f"c{n}") for n in range(10)]).encode()
    largest = []
    for _ in range(3):
        rig.x.requests.clear()
        loop.run(rig.handler.handle(_delivery(message)))
        largest.append(len(rig.x.requests[0]))
    assert largest == [10, 10, 1]


def _delivery(data: bytes) -> PubsubMessage:
    return delivery(data, message_id="17", publish_time="2026-04-20T12:34:56Z")
