"""First come, first served, and whose time is up is taken out."""

import msgspec
import pytest

from tests.fakes import Outcomes, conversion
from xcapi_core.outcomes import AlreadyDelivered, DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.x_api.queue import Waiting, WaitingQueue

ANY_SIZE = 10**9


def add(queue: WaitingQueue, *latest_starts: float) -> list[Waiting]:
    added = [Waiting(conversion(f"c{at}"), at, Outcomes()) for at in latest_starts]
    for waiting in added:
        queue.add(waiting)
    return added


def test_a_batch_is_the_first_so_many() -> None:
    queue = WaitingQueue()
    everybody = add(queue, 3.0, 1.0, 2.0)
    assert queue.take(2, ANY_SIZE) == everybody[:2]
    assert queue.take(2, ANY_SIZE) == everybody[2:]
    assert queue.take(2, ANY_SIZE) == []


def test_what_is_to_go_alone_shares_no_batch() -> None:
    queue = WaitingQueue()
    everybody = add(queue, 1.0, 2.0, 3.0, 4.0)
    everybody[1].alone = True
    assert [queue.take(9, ANY_SIZE) for _ in range(3)] == [everybody[:1], everybody[1:2], everybody[2:]]


def test_a_batch_holds_so_many_bytes_but_one_conversion_at_least() -> None:
    queue = WaitingQueue()
    everybody = add(queue, 1.0, 2.0, 3.0)
    one = len(everybody[0].conversion.wire)
    assert queue.take(9, 2 * one - 1) == everybody[:1]
    queue.put_back(everybody[:1])
    assert queue.take(9, 2 * one) == everybody[:2]
    assert queue.take(9, 1) == everybody[2:]


def test_what_is_put_back_comes_first_in_its_order() -> None:
    queue = WaitingQueue()
    everybody = add(queue, 1.0, 2.0, 3.0)
    queue.put_back(queue.take(2, ANY_SIZE))
    assert queue.take(9, ANY_SIZE) == everybody


def test_whose_time_is_up_before_a_request_can_start_is_taken_out() -> None:
    queue = WaitingQueue()
    hurried, patient, late = add(queue, 5.0, 15.0, 1.0)
    assert queue.take_hopeless(0.9) == []
    assert queue.take_hopeless(5.0) == [late]
    assert queue.take_hopeless(5.1) == [hurried]
    assert queue.earliest == 15.0
    assert queue.take_hopeless(15.0) == []
    assert queue.take(9, ANY_SIZE) == [patient]


def test_looking_costs_nothing_while_nobody_s_time_is_up() -> None:
    queue = WaitingQueue()
    add(queue, *[50.0] * 3)
    queue._waiting = None  # type: ignore[assignment]  # nobody may look at them
    assert queue.take_hopeless(49.0) == []
    assert queue.take_hopeless(50.0) == []
    assert queue.earliest == 50.0


def test_everybody_can_be_taken_at_once() -> None:
    queue = WaitingQueue()
    everybody = add(queue, 1.0, 2.0)
    assert queue.take_all() == everybody
    assert len(queue) == 0
    assert queue.take_hopeless(9.0) == []


UNAVAILABLE = Deferred(nack_status=503, cause="x_unavailable")
REFUSED = Rejected(reason=DeadLetterReason.REJECTED, http_status=400)
UNCONFIRMED = Rejected(reason=DeadLetterReason.UNCONFIRMED, http_status=200)


@pytest.mark.parametrize(
    ("outcome", "of_the_same", "of_another"),
    [
        (Delivered(), AlreadyDelivered(), AlreadyDelivered()),
        (UNAVAILABLE, UNAVAILABLE, UNAVAILABLE),
        (UNCONFIRMED, UNCONFIRMED, UNCONFIRMED),
        (REFUSED, REFUSED, None),
    ],
)
@pytest.mark.parametrize("value", ["1.00", "9.00"], ids=["less", "more"])
async def test_a_duplicate_ends_alike_but_for_a_refusal_that_may_not_be_its_own(
    outcome: Outcome, of_the_same: Outcome, of_another: Outcome | None, value: str
) -> None:
    outcomes = Outcomes()
    first, same, another = (Waiting(conversion("c1", value=one), 9.0, outcomes) for one in ("5.00", "5.00", value))
    first.duplicates = [same, another]
    assert list(first.end(outcome)) == ([] if of_another else [another])
    assert await outcomes.future_of(first) == outcome
    assert await outcomes.future_of(same) == of_the_same
    ended = outcomes.future_of(another)
    assert (ended.result() if ended.done() else None) == of_another


@pytest.mark.parametrize("suspect", [True, False])
async def test_what_a_bisection_left_and_only_that_stays_suspect(*, suspect: bool) -> None:
    outcomes = Outcomes()
    fresh = Waiting(conversion("c1"), 9.0, outcomes)
    waiting = msgspec.structs.replace(fresh, suspect=True) if suspect else fresh
    waiting.end(UNAVAILABLE)
    assert await outcomes.future_of(waiting) == msgspec.structs.replace(UNAVAILABLE, suspect=suspect)
