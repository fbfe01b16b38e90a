"""Group commit to the hundredth of a second, on a clock that jumps: when requests start, and when waiting ends."""

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest

from tests.fakes import FakeX, conversion, failed, ok
from tests.virtual_time import VirtualLoop
from tests.x_api.test_batcher import Rig, numbered, refusing
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import AlreadyDelivered, DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.settings import BatchSettings, RateSettings
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure


class TimedX(FakeX):
    """Notes when each request started, in seconds since the first look at the clock."""

    def __init__(self, loop: VirtualLoop, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # a test's options, by name
        self._loop = loop
        self._began = loop.time()
        self.starts: list[float] = []

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        self.starts.append(round(self._loop.time() - self._began, 2))
        return await super().post(request, credentials, timeout_s)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def timed(loop: VirtualLoop, *, latency_s: float = 0.0, **settings: object) -> tuple[Rig, TimedX]:
    x = TimedX(loop, latency_s=latency_s)
    return Rig(x, clock=loop.time, **settings), x  # type: ignore[arg-type]  # a test's settings, by name


async def at(moments: dict[float, Sequence[Conversion]], rig: Rig, within_s: float = 30.0) -> list[list[Outcome]]:
    """Submit groups at their moments; return each group's outcomes."""

    async def later(moment: float, items: Sequence[Conversion]) -> list[Outcome]:
        await asyncio.sleep(moment)
        return await rig.outcomes(items, within_s)

    return await asyncio.gather(*(later(moment, items) for moment, items in moments.items()))


def test_half_a_second_after_the_last_start_a_further_request_opens(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=5.0)
    loop.run(at({0.0: numbered(1), 0.1: numbered(2, 10), 0.6: numbered(3, 20)}, rig))
    assert x.starts == [0.0, 0.5, 1.0]
    assert x.sizes == [1, 2, 3]


def test_request_may_start_at_the_very_last_moment(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    assert loop.run(rig.outcomes(numbered(1), 0.0)) == [Delivered()]
    assert x.starts == [0.0]


def test_patience_ends_at_the_limit_of_requests_at_once(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=5.0, batch=BatchSettings(max_in_flight=2))
    loop.run(at({0.0: numbered(1), 0.1: numbered(2, 10), 0.6: numbered(3, 20)}, rig))
    assert x.starts == [0.0, 0.5, 5.0]
    assert x.most_open == 2


@pytest.mark.parametrize("most", [9, 10, 12])
def test_quarter_of_a_full_batch_waits_for_nobody(most: int, loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=5.0, batch=BatchSettings(max_conversions=most))
    loop.run(at({0.0: numbered(1), 0.1: numbered(2, 10), 0.2: numbered(1, 20), 0.3: numbered(1, 30)}, rig))
    assert x.starts == [0.0, 0.2, 0.7], "three at once, then patience for the fourth"
    assert x.sizes == [1, 3, 1]


def test_less_than_a_quarter_of_a_full_batch_waits(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=5.0, batch=BatchSettings(max_conversions=13))
    loop.run(at({0.0: numbered(1), 0.1: numbered(3, 10), 0.2: numbered(1, 20)}, rig))
    assert x.starts == [0.0, 0.2]


def test_batch_is_full_at_its_limit(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=5.0, batch=BatchSettings(max_conversions=9, max_in_flight=3))
    loop.run(at({0.0: numbered(1), 0.1: numbered(11, 10), 0.2: numbered(1, 30)}, rig))
    assert x.starts == [0.0, 0.1, 0.2]
    assert x.sizes == [1, 9, 3]


def test_after_a_429_nothing_starts_beside_what_is_still_in_flight(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.2, batch=BatchSettings(max_conversions=2))
    answers = [failed(429, retry_after="1")]
    x.handler = lambda conversions: answers.pop() if answers else ok(len(conversions))

    async def deliver() -> None:
        first = rig.outcomes(numbered(2))
        slow = at({0.1: numbered(4, 10)}, rig)
        later = at({0.3: numbered(1, 20)}, rig)
        asyncio.get_running_loop().call_later(0.05, setattr, x, "latency_s", 8.0)
        await asyncio.gather(first, slow, later)

    loop.run(deliver())
    assert x.starts == [0.0, 0.1, 0.1, 8.1]


def test_request_that_returns_takes_along_all_that_waits(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.3)
    loop.run(at({0.0: numbered(1), 0.1: numbered(2, 10), 0.2: numbered(3, 20)}, rig))
    assert x.starts == [0.0, 0.3]
    assert x.sizes == [1, 5]


def test_conversion_that_waits_for_a_slot_is_deferred_when_its_time_is_up(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=9.0, batch=BatchSettings(max_in_flight=1))

    async def deliver() -> tuple[Outcome, float]:
        first = rig.submit(conversion("first"))
        await asyncio.sleep(0.1)
        outcome = await rig.submit(conversion("second"), within_s=3.0)
        waited_s = loop.time()
        await first
        return outcome, waited_s

    began = loop.time()
    outcome, ended = loop.run(deliver())
    assert outcome == Deferred(nack_status=503, cause="no_time_left")
    assert ended - began == pytest.approx(3.1, abs=0.01)
    assert len(x.starts) == 1


def test_pause_ends_to_the_second(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    x.handler = lambda _: failed(429, retry_after="5")
    loop.run(rig.outcomes(numbered(1)))
    x.handler = lambda conversions: ok(len(conversions))
    assert loop.run(rig.outcomes(numbered(2, 10))) == [Delivered()] * 2
    assert x.starts == [0.0, 5.0]


def test_batcher_sleeps_while_nothing_can_change(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    x.handler = lambda _: failed(429, retry_after="20")
    loop.run(rig.outcomes(numbered(1)))
    x.handler = lambda conversions: ok(len(conversions))
    before = loop.naps
    loop.run(rig.outcomes(numbered(2, 10)))
    assert loop.naps - before < 10


def test_budget_that_comes_back_is_used_at_once(loop: VirtualLoop) -> None:
    rig, x = timed(loop, rate=RateSettings(events=10, window_s=60))
    outcomes = loop.run(rig.outcomes(numbered(15), within_s=100.0))
    assert outcomes == [Delivered()] * 15
    assert x.starts == [0.0, 61.0]
    assert x.sizes == [10, 5]


def test_bisection_without_budget_is_left_unfinished_at_once(loop: VirtualLoop) -> None:
    rig, x = timed(loop, rate=RateSettings(events=12, window_s=60))
    x.handler = refusing({"c3"})
    began = loop.time()
    unfinished = Deferred(nack_status=503, cause="bisection_unfinished", suspect=True)
    assert loop.run(rig.outcomes(numbered(10), within_s=100.0)) == [unfinished] * 10
    assert loop.time() == began


# --- what an unfinished bisection left: in small batches ---


@pytest.mark.parametrize(("max_in_flight", "at_once"), [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_suspects_leave_a_slot_for_fresh_ones(loop: VirtualLoop, max_in_flight: int, at_once: int) -> None:
    rig, x = timed(loop, latency_s=1.0, batch=BatchSettings(max_in_flight=max_in_flight))
    assert loop.run(rig.outcomes(numbered(60), suspect=True)) == [Delivered()] * 60
    assert x.sizes == [10] * 6
    assert x.most_open == at_once


def test_one_small_batch_at_a_time_goes_beside_a_flood(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=1.0, batch=BatchSettings(max_conversions=100, max_in_flight=4))

    async def deliver() -> None:
        await asyncio.gather(rig.outcomes(numbered(900, 1000)), rig.outcomes(numbered(30), suspect=True))

    loop.run(deliver())
    assert x.sizes == [10, 100, 100, 100] * 3
    assert x.most_open == 4


def test_suspects_and_fresh_ones_take_turns_at_a_single_slot(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.1, batch=BatchSettings(max_conversions=100, max_in_flight=1))

    async def deliver() -> None:
        await asyncio.gather(rig.outcomes(numbered(30), suspect=True), rig.outcomes(numbered(400, 1000)))

    loop.run(deliver())
    assert x.most_open == 1
    small = [size == 10 for size in x.sizes]
    assert small in ([True, False] * 3 + [False], [False, True] * 3 + [False])


def test_slot_that_small_batches_leave_is_for_the_fresh_ones_that_come_meanwhile(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=1.0, batch=BatchSettings(max_in_flight=4))

    async def deliver() -> None:
        suspects = rig.outcomes(numbered(60), suspect=True)
        await asyncio.gather(suspects, at({0.5: numbered(7, 1000)}, rig))

    loop.run(deliver())
    assert (x.starts[:4], x.sizes[:4]) == ([0.0, 0.0, 0.0, 0.5], [10, 10, 10, 7])


def test_small_batch_keeps_to_the_budget(loop: VirtualLoop) -> None:
    rig, x = timed(loop, rate=RateSettings(events=14, window_s=60))
    loop.run(rig.outcomes(numbered(10, 1000)))
    loop.run(rig.outcomes(numbered(10), within_s=100.0, suspect=True))
    assert x.sizes == [10, 4, 6]


# --- the size of batches ---


def test_batches_stay_small_while_conversions_wait_and_grow_from_a_sixth_of_a_full_one_after_that(
    loop: VirtualLoop,
) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = refusing({f"c{number}" for number in range(0, 500, 5)})
    loop.run(rig.outcomes(numbered(3000)))
    assert max(x.sizes[-10:-4]) < 500
    x.handler = lambda conversions: ok(len(conversions))
    x.requests.clear()
    loop.run(rig.outcomes(numbered(500, 5000)))
    assert x.sizes == [83, 83, 83, 83, 166, 2]
    x.requests.clear()
    loop.run(rig.outcomes(numbered(500, 6000)))
    assert x.sizes == [332, 168]


def test_batches_stay_small_while_conversions_wait_for_the_end_of_a_pause(loop: VirtualLoop) -> None:
    rig, x = timed(loop, batch=BatchSettings(max_conversions=16, max_in_flight=1))
    # What is left of the bisection is deferred by the pause; the other sixteen wait for its end.
    answers = [failed(400, {"code": "INVALID_PARAMETER", "message": "no"}), failed(429, retry_after="5")]
    x.handler = lambda conversions: answers.pop(0) if answers else ok(len(conversions))
    outcomes = loop.run(rig.outcomes(numbered(32)))
    assert outcomes[16:] == [Delivered()] * 16
    assert (x.starts[2], x.sizes[:4]) == (5.0, [16, 8, 8, 8])


@pytest.mark.parametrize(("share_of_bad", "most_sends"), [(0.01, 3.0), (0.05, 5.0)])
def test_messages_one_after_the_other_have_each_event_sent_a_few_times(
    loop: VirtualLoop, share_of_bad: float, most_sends: float
) -> None:
    rig, x = timed(loop, latency_s=0.2)
    places = random.Random(5)
    bad = {f"c{number}" for number in range(10_000) if places.random() < share_of_bad}
    x.handler = refusing(bad)
    for start in range(0, 10_000, 500):
        outcomes = loop.run(rig.outcomes(numbered(500, start)))
        rejected = {f"c{start + at}" for at, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)}
        assert rejected == bad & {f"c{start + at}" for at in range(500)}
    assert sum(x.sizes) / 10_000 <= most_sends


@pytest.mark.parametrize("place", [0, 124, 125, 250, 499])
def test_lone_bad_one_after_many_bad_ones_costs_at_most_17_requests(loop: VirtualLoop, place: int) -> None:
    rig, x = timed(loop, latency_s=0.2)
    x.handler = refusing({f"c{number}" for number in range(0, 500, 10)} | {f"c{1000 + place}"})
    loop.run(rig.outcomes(numbered(500)))
    x.requests.clear()
    loop.run(rig.outcomes(numbered(500, 1000)))
    assert len(x.requests) <= 17


def test_a_few_bad_ones_leave_one_request_for_what_no_conversion_causes(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = refusing({"c1", "c250", "c499"})
    loop.run(rig.outcomes(numbered(500)))
    x.handler = lambda _: failed(404, {"code": "ROUTE_NOT_FOUND", "message": "no such route"})
    x.requests.clear()
    loop.run(rig.outcomes(numbered(500, 1000)))
    assert x.sizes == [500]


def test_three_unnamed_bad_ones_among_500_cost_about_three_dozen_requests(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    places, costs = random.Random(3), []
    for bad in ([0, 1, 2], [0, 250, 499], [99, 100, 101], *(places.sample(range(500), 3) for _ in range(20))):
        x.handler = refusing({f"c{number}" for number in bad})
        x.requests.clear()
        loop.run(rig.outcomes(numbered(500)))
        costs.append(len(x.requests))
    assert sum(costs) / len(costs) <= 36
    assert max(costs) <= 42


# --- probes ---


def test_probe_of_refused_keys_is_one_request_with_keys_read_afresh(loop: VirtualLoop) -> None:
    rig, x = timed(loop, on_unauthorized="requeue")
    x.handler = lambda _: failed(403)
    loop.run(rig.outcomes(numbered(1)))
    loop.advance(61)
    x.requests.clear()
    reads = rig.secrets.reads
    assert loop.run(rig.outcomes(numbered(1))) == [Deferred(nack_status=503, cause="unauthorized")]
    assert len(x.requests) == 1
    assert rig.secrets.reads == reads + 1


def test_x_that_refuses_everything_is_asked_with_one_conversion_a_minute_until_it_takes_one(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    x.handler = lambda _: failed(400, {"code": "INVALID_PARAMETER", "message": "no"})
    loop.run(rig.outcomes(numbered(500)))
    for minute in range(3):
        loop.advance(61)
        x.requests.clear()
        outcomes = loop.run(rig.outcomes(numbered(500, 1000 * minute)))
        assert set(outcomes) == {Deferred(nack_status=503, cause="refuses_everything")}
        assert x.sizes == [1]
    loop.advance(61)
    x.requests.clear()
    x.handler = lambda conversions: ok(len(conversions))
    assert loop.run(rig.outcomes(numbered(500, 9000))) == [Delivered()] * 500
    assert x.sizes[0] == 1


def test_bytes_that_were_too_large_are_tried_again_after_an_hour(loop: VirtualLoop) -> None:
    rig, x = timed(loop, settle_timeout_s=60.0)
    x.handler = lambda conversions: failed(413) if len(conversions) > 50 else ok(len(conversions))
    described = [conversion(f"c{number}", description="x" * 1_000) for number in range(3_200)]
    loop.run(rig.outcomes(described[:100]))
    x.handler = lambda conversions: ok(len(conversions))
    x.requests.clear()
    loop.run(rig.outcomes(described[100:200]))
    assert max(x.sizes) <= 50
    for first in range(200, 3_200, 300):
        loop.advance(3601)
        x.requests.clear()
        loop.run(rig.outcomes(described[first : first + 300]))
    assert x.sizes == [300]


# --- duplicates, and what goes wrong inside ---


def test_duplicate_shares_an_unclear_answer_whatever_it_says_itself(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = lambda conversions: ok(len(conversions) + 1)
    first, duplicate = loop.run(rig.outcomes([conversion("A-1"), conversion("A-1", value="2.00")]))
    assert isinstance(first, Rejected)
    assert first.reason is DeadLetterReason.UNCONFIRMED
    assert duplicate == first
    assert len(x.requests) == 1


def test_duplicate_is_deferred_with_the_first(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = lambda _: failed(503)
    outcomes = loop.run(rig.outcomes([conversion("A-1"), conversion("A-1", value="2.00")]))
    assert outcomes == [Deferred(nack_status=503, cause="x_unavailable")] * 2
    assert len(x.requests) == 1


def test_equal_duplicate_of_a_refused_conversion_is_refused_with_it(loop: VirtualLoop) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = refusing({"A-1"})
    first, duplicate = loop.run(rig.outcomes([conversion("A-1"), conversion("A-1")]))
    assert isinstance(first, Rejected)
    assert duplicate == first
    assert len(x.requests) == 1


@pytest.mark.parametrize("corrected", [{}, {"value": "2.00"}, {"value": "0.50"}])
def test_differing_duplicate_of_a_refused_conversion_is_judged_for_itself(
    loop: VirtualLoop, corrected: dict[str, str]
) -> None:
    rig, x = timed(loop, latency_s=0.1)
    x.handler = lambda sent: (
        failed(400, {"code": "X"}) if any(c.get("value") == "1.00" for c in sent) else ok(len(sent))
    )
    first, duplicate = loop.run(rig.outcomes([conversion("A-1", value="1.00"), conversion("A-1", **corrected)]))
    assert isinstance(first, Rejected)
    assert duplicate == Delivered()


def test_refused_conversion_that_comes_again_is_sent_again_and_a_delivered_one_is_not(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    usual = x.handler
    x.handler = refusing({"A-1"})
    item = conversion("A-1")
    (refused,) = loop.run(rig.outcomes([item]))
    assert isinstance(refused, Rejected)
    x.handler = usual
    assert loop.run(rig.outcomes([item, item])) == [Delivered(), AlreadyDelivered()]
    assert loop.run(rig.outcomes([item])) == [AlreadyDelivered()]
    assert len(x.requests) == 2


def test_bug_in_a_request_defers_its_conversions_and_nobody_else(loop: VirtualLoop) -> None:
    rig, x = timed(loop)
    usual = x.handler

    def crash(_: list[dict[str, object]]) -> HttpResponse:
        raise ZeroDivisionError

    x.handler = crash
    assert loop.run(rig.outcomes(numbered(3))) == [Deferred(nack_status=503, cause="internal_error")] * 3
    x.handler = usual
    assert loop.run(rig.outcomes(numbered(3))) == [Delivered()] * 3
    assert x.sizes == [3, 3]
