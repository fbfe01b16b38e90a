"""The rate budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.settings import RateSettings
from xcapi_core.x_api.rate_hints import RateHint
from xcapi_core.x_api.rate_limiter import RateLimiter, Reservation


def limiter(events: int = 10, window_s: float = 60.0) -> RateLimiter:
    return RateLimiter(RateSettings(events=events, window_s=window_s))


def reserved(budget: RateLimiter, now: float, events: int) -> Reservation:
    reservation = budget.reserve(now, events)
    assert reservation is not None
    return reservation


def send(budget: RateLimiter, now: float, events: int) -> None:
    """Send a request that is answered at once."""
    reserved(budget, now, events).settle(now, charged=events)


def test_budget_is_spent_by_events_and_comes_back_when_they_leave_the_window() -> None:
    budget = limiter(events=10, window_s=60)
    send(budget, 0.0, 4)
    send(budget, 30.0, 6)
    assert budget.allowance(31.0) == 0
    assert budget.next_capacity_at(31.0) == pytest.approx(61.0)
    assert budget.allowance(61.0) == 4
    assert budget.allowance(91.0) == 10


def test_events_count_from_the_end_of_their_request_since_x_may_see_them_as_late_as_that() -> None:
    """A request may wait for its keys: sent at 0, it reaches X at 20, and leaves X's window of 60 s at 80."""
    budget = limiter(events=10, window_s=60)
    request = reserved(budget, 0.0, 10)
    assert budget.allowance(59.0) == 0
    assert budget.next_capacity_at(59.0) == 59.0, "the request may end at any time, and X may not have counted it"
    request.settle(20.0, charged=10)
    assert budget.allowance(79.0) == 0
    assert budget.next_capacity_at(79.0) == pytest.approx(81.0)
    assert budget.allowance(81.0) == 10


@given(
    requests=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 10), st.floats(0, 5), st.booleans()), max_size=60),
    window_s=st.sampled_from([0.5, 2.0, 10.0]),
)
def test_no_window_holds_more_than_the_budget_whenever_x_counts(
    requests: list[tuple[float, int, float, bool]], window_s: float
) -> None:
    budget = limiter(events=10, window_s=window_s)
    now = 0.0
    open_ends: list[tuple[float, int, Reservation]] = []
    counted: list[tuple[float, int]] = []
    for pause_s, wanted, takes_s, at_the_end in requests:
        now += pause_s
        for end, events, request in sorted(open_ends, key=lambda one: one[0]):
            if end <= now:
                request.settle(end, charged=events)
        open_ends = [one for one in open_ends if one[0] > now]
        events = min(wanted, budget.allowance(now))
        if events:
            open_ends.append((now + takes_s, events, reserved(budget, now, events)))
            counted.append((now + takes_s if at_the_end else now, events))
    for end, _ in counted:
        assert sum(events for at, events in counted if end - window_s < at <= end) <= 10


def test_request_that_x_cannot_have_counted_gives_its_events_back() -> None:
    budget = limiter(events=10)
    send(budget, 0.0, 3)
    reserved(budget, 0.0, 6).settle(5.0, charged=0)
    assert budget.allowance(6.0) == 7


def test_outage_does_not_use_up_what_x_said_remains() -> None:
    budget = limiter(events=5000)
    budget.note_hint(0.0, RateHint(remaining=1000, reset_after_s=600))
    for _ in range(5):
        reserved(budget, 0.0, 500).settle(1.0, charged=0)
    assert budget.allowance(2.0) == 1000


def test_short_window_is_hardly_longer_than_it_says() -> None:
    budget = limiter(events=10, window_s=1.0)
    send(budget, 0.0, 10)
    assert budget.next_capacity_at(0.5) == pytest.approx(1.0, abs=0.05)


def test_what_x_says_remains_wins_over_the_local_window_until_its_reset() -> None:
    budget = limiter(events=10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=30))
    assert budget.allowance(29.0) == 0
    assert budget.next_capacity_at(29.0) == 30.0
    assert budget.allowance(30.0) == 10


def test_what_is_in_flight_is_taken_off_what_x_says_remains() -> None:
    budget = limiter(events=1000)
    budget.note_hint(0.0, RateHint(remaining=500, reset_after_s=30))
    request = reserved(budget, 0.0, 100)
    assert budget.allowance(2.0) == 400
    request.settle(2.0, charged=100)
    assert budget.allowance(3.0) == 500, "until X reports anew, its last word stands"


def test_configured_budget_is_never_exceeded_whatever_x_allows() -> None:
    budget = limiter(events=10)
    send(budget, 0.0, 10)
    budget.note_hint(0.0, RateHint(remaining=500, reset_after_s=30))
    assert budget.allowance(1.0) == 0
    assert budget.next_capacity_at(1.0) == pytest.approx(61.0)


def test_of_answers_that_overtake_each_other_the_smallest_remainder_counts() -> None:
    budget = limiter(events=5000)
    budget.note_hint(0.0, RateHint(remaining=100, reset_after_s=30))
    budget.note_hint(0.5, RateHint(remaining=700, reset_after_s=30))
    assert budget.allowance(1.0) == 100


def test_window_slides_in_seconds_or_in_sixtieths_of_a_short_one() -> None:
    for window_s, step_s in ((900.0, 1.0), (60.0, 1.0), (6.0, 0.1)):
        budget = limiter(events=2, window_s=window_s)
        send(budget, 0.0, 1)
        send(budget, step_s * 0.99, 1)
        assert budget.next_capacity_at(step_s) == pytest.approx(window_s + step_s), "both leave together"
        assert budget.allowance(window_s + step_s * 0.99) == 0
        assert budget.allowance(window_s + step_s * 1.01) == 2
        budget = limiter(events=2, window_s=window_s)
        send(budget, 0.0, 1)
        send(budget, step_s, 1)
        assert budget.allowance(window_s + step_s * 1.01) == 1, "the second has a step of its own"


def test_budget_is_never_below_nothing() -> None:
    """A batch whose keys were refused is posted twice, and charged twice."""
    budget = limiter(events=10)
    reserved(budget, 0.0, 8).settle(0.0, charged=16)
    assert budget.allowance(1.0) == 0
    assert budget.allowance(61.0) == 10


def test_a_request_that_does_not_fit_gets_nothing() -> None:
    budget = limiter(events=10)
    reserved(budget, 0.0, 7)
    assert budget.reserve(0.0, 4) is None
    assert budget.allowance(0.0) == 3


def test_uncounted_events_leave_with_their_request() -> None:
    budget = limiter(events=10, window_s=60)
    lost, counted = reserved(budget, 0.0, 4), reserved(budget, 0.0, 3)
    assert budget.allowance(0.0) == 3
    lost.settle(5.0, charged=0)
    assert budget.allowance(5.0) == 7
    counted.settle(5.0, charged=3)
    assert budget.allowance(5.0) == 7


def test_what_x_says_remains_ends_with_its_window() -> None:
    budget = limiter(events=10)
    request = reserved(budget, 0.0, 6)
    budget.note_hint(0.0, RateHint(remaining=4, reset_after_s=30))
    assert budget.allowance(1.0) == 0, "more in flight than X says remains"
    assert budget.next_capacity_at(1.0) == 1.0, "until the request ends"
    assert budget.allowance(29.9) == 0
    assert budget.allowance(30.0) == 4
    request.settle(30.0, charged=6)
    assert budget.allowance(30.0) == 4


def test_what_is_in_flight_changes_nothing_about_a_budget_that_is_spent() -> None:
    budget = limiter(events=10)
    reserved(budget, 0.0, 2)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=500))
    assert budget.next_capacity_at(1.0) == 500.0


def test_budget_left_at_x_is_no_reason_to_wait() -> None:
    budget = limiter(events=10)
    budget.note_hint(0.0, RateHint(remaining=5, reset_after_s=500))
    request = reserved(budget, 0.0, 4)
    assert budget.allowance(2.0) == 1
    assert budget.next_capacity_at(2.0) == 2.0
    request.settle(3.0, charged=10)
    assert budget.next_capacity_at(3.0) == 64.0, "X has room again, the window has not"


def test_steps_of_the_window_are_kept_apart() -> None:
    budget = limiter(events=4, window_s=60)
    for now in (0.0, 5.0, 5.5):
        send(budget, now, 1)
    reserved(budget, 9.0, 1).settle(9.0, charged=2)
    assert budget.next_capacity_at(9.5) == 61.0, "one more than allowed is in the window"
    assert [budget.allowance(now) for now in (60.9, 61.0, 65.9, 66.0, 69.9, 70.0)] == [0, 0, 0, 2, 2, 4]


def test_what_x_said_of_a_window_is_over_with_it_whenever_one_looks() -> None:
    budget = limiter(events=10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=30))
    assert budget.allowance(31.0) == 10


def test_both_budgets_have_to_come_back() -> None:
    budget = limiter(events=10)
    send(budget, 0.0, 10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=500))
    assert budget.next_capacity_at(1.0) == 500.0
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=20))
    assert budget.next_capacity_at(1.0) == 61.0


@pytest.mark.parametrize(
    ("apart_s", "counts"), [(0.0, 100), (1.9, 100), (2.0, 700), (-1.9, 100), (-2.0, 700), (60.0, 700)]
)
def test_resets_two_seconds_apart_are_those_of_two_windows(apart_s: float, counts: int) -> None:
    budget = limiter(events=5000)
    budget.note_hint(0.0, RateHint(remaining=100, reset_after_s=30))
    budget.note_hint(0.0, RateHint(remaining=700, reset_after_s=30 + apart_s))
    assert budget.allowance(1.0) == counts


@pytest.mark.parametrize(
    "hint", [RateHint(remaining=0), RateHint(remaining=0, reset_after_s=0), RateHint(reset_after_s=9)]
)
def test_half_a_word_about_the_budget_says_nothing(hint: RateHint) -> None:
    budget = limiter(events=10)
    budget.note_hint(0.0, hint)
    assert budget.allowance(0.0) == 10
