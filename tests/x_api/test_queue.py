"""Who waits in vain is told at once, and the others cost nothing while they wait."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fakes import conversion
from xcapi_core.outcomes import Deferred
from xcapi_core.settings import RateSettings
from xcapi_core.x_api.queue import Waiting, WaitingQueue
from xcapi_core.x_api.rate_limiter import Pacer, RateHint

LIMITED = Deferred(nack_status=429, cause="rate_limited")
SPENT = Deferred(nack_status=429, cause="rate_budget_spent")
LATE = Deferred(nack_status=503, cause="no_time_left")


class CountingPacer(Pacer):
    """Counts how often the gate is looked at: once a pass, and once for each who is judged."""

    looks = 0

    def opens_at(self, now: float) -> float:
        self.looks += 1
        return super().opens_at(now)


def pacer(events: int = 10, window_s: float = 60.0) -> CountingPacer:
    return CountingPacer(RateSettings(events=events, window_s=window_s))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    new = asyncio.new_event_loop()
    yield new
    new.close()


def add(queue: WaitingQueue, loop: asyncio.AbstractEventLoop, *latest_starts: float) -> list[Waiting]:
    added = [Waiting(conversion(f"c{at}"), 1, at, loop.create_future()) for at in latest_starts]
    for waiting in added:
        queue.add(waiting)
    return added


def test_of_more_than_the_budget_allows_the_last_are_told(loop: asyncio.AbstractEventLoop) -> None:
    queue = WaitingQueue()
    everybody = add(queue, loop, *[30.0] * 13)
    assert queue.take_hopeless(0.0, pacer(events=10)) == [(waiting, SPENT) for waiting in everybody[10:]]
    assert queue.take(20) == everybody[:10]


def test_who_can_wait_for_the_next_window_waits_behind_who_cannot(loop: asyncio.AbstractEventLoop) -> None:
    queue, budget = WaitingQueue(), pacer(events=2, window_s=10)
    *patient, hurried = add(queue, loop, 50.0, 50.0, 50.0, 50.0, 5.0)
    assert queue.take_hopeless(0.0, budget) == [(hurried, SPENT)]
    assert queue.take(9) == patient


def test_a_closed_gate_turns_away_who_cannot_wait_and_keeps_the_others(loop: asyncio.AbstractEventLoop) -> None:
    queue, gate = WaitingQueue(), pacer()
    hurried, patient = add(queue, loop, 5.0, 15.0)
    gate.close(0.0, 10.0, LIMITED)
    assert queue.take_hopeless(0.0, gate) == [(hurried, LIMITED)]
    assert queue.take(9) == [patient]


def test_a_gate_that_closes_for_longer_turns_away_who_could_wait_before(loop: asyncio.AbstractEventLoop) -> None:
    queue, gate = WaitingQueue(), pacer()
    waiting, stays = add(queue, loop, 15.0, 40.0)
    gate.close(0.0, 10.0, LIMITED)
    assert queue.take_hopeless(0.0, gate) == []
    gate.close(0.01, 30.0, LIMITED)
    assert queue.take_hopeless(0.01, gate) == [(waiting, LIMITED)]
    assert queue.take(9) == [stays]


def test_who_ran_out_of_time_is_told_so(loop: asyncio.AbstractEventLoop) -> None:
    queue = WaitingQueue()
    late, stays = add(queue, loop, 1.0, 9.0)
    assert queue.take_hopeless(0.9, pacer()) == []
    assert queue.take_hopeless(1.1, pacer()) == [(late, LATE)]
    assert queue.take(9) == [stays]


def test_budget_that_x_takes_back_is_noticed(loop: asyncio.AbstractEventLoop) -> None:
    queue, budget = WaitingQueue(), pacer(events=10)
    add(queue, loop, *[30.0] * 12)
    assert len(queue.take_hopeless(0.0, budget)) == 2
    budget.note_hint(0.0, RateHint(remaining=4, reset_after_s=100), deferred_as=None)
    assert [outcome for _, outcome in queue.take_hopeless(1.1, budget)] == [SPENT] * 6


@pytest.mark.parametrize("closed", [True, False], ids=["behind a closed gate", "behind a spent budget"])
def test_each_newcomer_is_judged_once_however_many_wait(loop: asyncio.AbstractEventLoop, *, closed: bool) -> None:
    queue, budget = WaitingQueue(), pacer(events=1_000)
    if closed:
        budget.close(0.0, 10.0, LIMITED)
    add(queue, loop, *[50.0] * (900 if closed else 1_000))
    assert queue.take_hopeless(0.0, budget) == []
    budget.looks = 0
    told = 0
    for _ in range(100):
        add(queue, loop, 50.0)
        told += len(queue.take_hopeless(0.01, budget))
    assert told == (0 if closed else 100)
    assert budget.looks < 2_000, "a look at each of a thousand for each of a hundred would be 100,000"
