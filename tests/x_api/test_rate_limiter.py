"""The rate budget, and the times that X names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.outcomes import Deferred
from xcapi_core.settings import RateSettings
from xcapi_core.x_api.rate_limiter import MAX_CLOSED_S, Pacer, RateHint, read_rate_hint

LIMITED = Deferred(nack_status=429, cause="rate_limited")
DOWN = Deferred(nack_status=503, cause="x_unavailable")


def pacer(events: int = 10, window_s: float = 60.0) -> Pacer:
    return Pacer(RateSettings(events=events, window_s=window_s))


def send(budget: Pacer, now: float, events: int) -> None:
    """Send a request that is answered at once."""
    budget.note_sent(events)
    budget.note_done(now, events, counted=True)


def test_budget_is_spent_by_events_and_comes_back_when_they_leave_the_window() -> None:
    budget = pacer(events=10, window_s=60)
    send(budget, 0.0, 4)
    send(budget, 30.0, 6)
    assert budget.allowance(31.0) == 0
    assert budget.next_capacity_at(31.0) == pytest.approx(61.0)
    assert budget.allowance(61.0) == 4
    assert budget.allowance(91.0) == 10


def test_capacity_until_a_time_counts_what_leaves_the_window_by_then() -> None:
    budget = pacer(events=10, window_s=60)
    send(budget, 0.0, 4)
    send(budget, 30.0, 6)
    assert budget.capacity_until(31.0, 40.0) == 0
    assert budget.capacity_until(31.0, 70.0) == 4
    assert budget.capacity_until(31.0, 90.0) == 4
    assert budget.capacity_until(31.0, 91.0) == 10


def test_capacity_until_a_time_of_several_windows_is_several_budgets() -> None:
    """Else deliveries that wait longer than a window would be nacked although they could be sent in their time."""
    budget = pacer(events=10, window_s=60)
    assert budget.capacity_until(0.0, 60.9) == 10
    assert budget.capacity_until(0.0, 61.0) == 20
    send(budget, 0.0, 10)
    assert budget.capacity_until(1.0, 60.9) == 0
    assert budget.capacity_until(1.0, 61.0) == 10
    assert budget.capacity_until(1.0, 123.0) == 20


def test_capacity_after_x_s_reset_is_a_budget_for_each_window_of_x() -> None:
    budget = pacer(events=10, window_s=60)
    budget.note_hint(0.0, RateHint(remaining=3, reset_after_s=20), deferred_as=None)
    assert budget.capacity_until(0.0, 19.0) == 3
    assert budget.capacity_until(0.0, 59.0) == 10, "ours is the smaller one"
    assert budget.capacity_until(0.0, 79.0) == 13
    assert budget.capacity_until(0.0, 80.0) == 20


def test_events_count_from_the_end_of_their_request_since_x_may_see_them_as_late_as_that() -> None:
    """A request may wait for its keys: sent at 0, it reaches X at 20, and leaves X's window of 60 s at 80."""
    budget = pacer(events=10, window_s=60)
    budget.note_sent(10)
    assert budget.allowance(59.0) == 0
    assert budget.next_capacity_at(59.0) == math.inf
    budget.note_done(20.0, 10, counted=True)
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
    budget = pacer(events=10, window_s=window_s)
    now = 0.0
    open_ends: list[tuple[float, int]] = []
    counted: list[tuple[float, int]] = []
    for pause_s, wanted, takes_s, at_the_end in requests:
        now += pause_s
        for end, events in sorted(open_ends):
            if end <= now:
                budget.note_done(end, events, counted=True)
        open_ends = [(end, events) for end, events in open_ends if end > now]
        events = min(wanted, budget.allowance(now))
        if events:
            budget.note_sent(events)
            open_ends.append((now + takes_s, events))
            counted.append((now + takes_s if at_the_end else now, events))
    for end, _ in counted:
        assert sum(events for at, events in counted if end - window_s < at <= end) <= 10


def test_request_that_x_cannot_have_counted_gives_its_events_back() -> None:
    budget = pacer(events=10)
    send(budget, 0.0, 3)
    budget.note_sent(6)
    budget.note_done(5.0, 6, counted=False)
    assert budget.allowance(6.0) == 7


def test_outage_does_not_use_up_what_x_said_remains() -> None:
    budget = pacer(events=5000)
    budget.note_hint(0.0, RateHint(remaining=1000, reset_after_s=600), deferred_as=None)
    for _ in range(5):
        budget.note_sent(500)
        budget.note_done(1.0, 500, counted=False)
    assert budget.allowance(2.0) == 1000


def test_short_window_is_hardly_longer_than_it_says() -> None:
    budget = pacer(events=10, window_s=1.0)
    send(budget, 0.0, 10)
    assert budget.next_capacity_at(0.5) == pytest.approx(1.0, abs=0.05)


def test_what_x_says_remains_wins_over_the_local_window_until_its_reset() -> None:
    budget = pacer(events=10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=30), deferred_as=None)
    assert budget.allowance(29.0) == 0
    assert budget.next_capacity_at(29.0) == 30.0
    assert budget.allowance(30.0) == 10


def test_what_is_in_flight_is_taken_off_what_x_says_remains() -> None:
    budget = pacer(events=1000)
    budget.note_hint(0.0, RateHint(remaining=500, reset_after_s=30), deferred_as=None)
    budget.note_sent(100)
    assert budget.allowance(2.0) == 400
    budget.note_done(2.0, 100, counted=True)
    assert budget.allowance(3.0) == 500, "until X reports anew, its last word stands"


def test_configured_budget_is_never_exceeded_whatever_x_allows() -> None:
    budget = pacer(events=10)
    send(budget, 0.0, 10)
    budget.note_hint(0.0, RateHint(remaining=500, reset_after_s=30), deferred_as=None)
    assert budget.allowance(1.0) == 0
    assert budget.next_capacity_at(1.0) == pytest.approx(61.0)


def test_of_answers_that_overtake_each_other_the_smallest_remainder_counts() -> None:
    budget = pacer(events=5000)
    budget.note_hint(0.0, RateHint(remaining=100, reset_after_s=30), deferred_as=None)
    budget.note_hint(0.5, RateHint(remaining=700, reset_after_s=30), deferred_as=None)
    assert budget.allowance(1.0) == 100


def test_429_closes_the_gate_until_x_s_reset() -> None:
    gate = pacer()
    gate.note_hint(100.0, RateHint(remaining=0, reset_after_s=7), deferred_as=LIMITED)
    assert gate.opens_at(100.0) == 107.0
    assert gate.opens_at(107.0) == 107.0
    assert gate.closed_as == LIMITED
    assert gate.probing


def test_retry_after_of_a_503_closes_the_gate_as_unavailable() -> None:
    gate = pacer()
    gate.note_hint(0.0, RateHint(retry_after_s=5), deferred_as=DOWN)
    assert gate.opens_at(0.0) == 5.0
    assert gate.closed_as == DOWN


def test_retry_after_of_a_429_counts_alone_while_budget_is_left() -> None:
    """X's reset then is that of a window which has room; where nothing is left, both have to pass."""
    gate = pacer()
    gate.note_hint(0.0, RateHint(retry_after_s=2, remaining=500, reset_after_s=900), deferred_as=LIMITED)
    assert gate.opens_at(0.0) == 2.0
    gate.note_hint(0.0, RateHint(retry_after_s=2, remaining=0, reset_after_s=900), deferred_as=LIMITED)
    assert gate.opens_at(0.0) == 900.0


def test_503_without_a_time_leaves_the_gate_open() -> None:
    gate = pacer()
    gate.note_hint(0.0, RateHint(remaining=50, reset_after_s=60), deferred_as=DOWN)
    assert gate.opens_at(0.0) == 0.0


def test_429_without_a_time_backs_off_doubling_to_a_minute_until_x_judges_a_request() -> None:
    gate = pacer()
    now, delays = 0.0, []
    for _ in range(8):
        gate.note_hint(now, RateHint(), deferred_as=LIMITED)
        delays.append(gate.opens_at(now) - now)
        now = gate.opens_at(now)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    gate.note_judged()
    gate.note_hint(now, RateHint(), deferred_as=LIMITED)
    assert gate.opens_at(now) - now == 1


def test_a_wild_time_closes_the_gate_for_an_hour_at_most() -> None:
    gate = pacer()
    gate.note_hint(0.0, RateHint(retry_after_s=1e12), deferred_as=LIMITED)
    assert gate.opens_at(0.0) == MAX_CLOSED_S == 3600.0
    budget = pacer()
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=1e12), deferred_as=None)
    assert budget.next_capacity_at(0.0) == 3600.0
    assert budget.allowance(3600.0) == 10


def test_fresh_gate_is_open_for_everybody() -> None:
    gate = pacer()
    assert gate.opens_at(5.0) == 5.0
    assert not gate.probing
    assert gate.closed_as == LIMITED
    assert gate.next_capacity_at(5.0) == 5.0
    assert gate.allowance(5.0) == 10


def spend(budget: Pacer, now: float, events: int) -> None:
    budget.note_sent(events)
    budget.note_done(now, events, counted=True)


def test_clock_may_start_anywhere() -> None:
    gate = pacer(events=1)
    assert gate.opens_at(-5.0) == -5.0
    gate.close(-50.0, 10.0, DOWN)
    assert gate.opens_at(-50.0) == -40.0
    spend(gate, -50.0, 1)
    assert gate.next_capacity_at(-50.0) == 11.0


def test_judged_request_opens_the_way_for_the_others() -> None:
    gate = pacer()
    gate.close(0.0, 5.0, DOWN)
    assert gate.probing
    gate.note_judged()
    assert not gate.probing


def test_gate_closed_for_longer_stays_closed_and_an_equal_word_is_the_newer_one() -> None:
    gate = pacer()
    gate.close(0.0, 10.0, LIMITED)
    gate.note_judged()
    gate.close(0.0, 5.0, DOWN)
    assert (gate.opens_at(0.0), gate.closed_as, gate.probing) == (10.0, LIMITED, True)
    gate.close(5.0, 5.0, DOWN)
    assert (gate.opens_at(0.0), gate.closed_as) == (10.0, DOWN)


@pytest.mark.parametrize(
    ("hint", "deferred_as", "closed_s"),
    [
        (RateHint(remaining=5, reset_after_s=60), LIMITED, 60),  # a 429 says that nothing is left, whatever it counts
        (RateHint(remaining=0, reset_after_s=60), DOWN, 60),
        (RateHint(reset_after_s=60), LIMITED, 60),
        (RateHint(reset_after_s=60), DOWN, 0),
        (RateHint(retry_after_s=2, reset_after_s=60), LIMITED, 60),
        (RateHint(retry_after_s=2, reset_after_s=60), DOWN, 2),
        (RateHint(retry_after_s=90, remaining=0, reset_after_s=60), LIMITED, 90),
        (RateHint(retry_after_s=0), LIMITED, 1),  # no time at all: the first back-off
        (RateHint(remaining=0, reset_after_s=0), LIMITED, 1),
        (RateHint(retry_after_s=0, remaining=0, reset_after_s=3), LIMITED, 3),
        (RateHint(retry_after_s=0), DOWN, 0),
        (RateHint(retry_after_s=5, remaining=0, reset_after_s=60), None, 0),  # X took the request
    ],
)
def test_how_long_an_answer_closes_the_gate(hint: RateHint, deferred_as: Deferred | None, closed_s: float) -> None:
    gate = pacer()
    gate.note_hint(100.0, hint, deferred_as=deferred_as)
    assert gate.opens_at(100.0) == 100.0 + closed_s
    assert gate.probing == (closed_s > 0)


def test_window_slides_in_seconds_or_in_sixtieths_of_a_short_one() -> None:
    for window_s, step_s in ((900.0, 1.0), (60.0, 1.0), (6.0, 0.1)):
        budget = pacer(events=2, window_s=window_s)
        spend(budget, 0.0, 1)
        spend(budget, step_s * 0.99, 1)
        assert budget.next_capacity_at(step_s) == pytest.approx(window_s + step_s), "both leave together"
        assert budget.allowance(window_s + step_s * 0.99) == 0
        assert budget.allowance(window_s + step_s * 1.01) == 2
        budget = pacer(events=2, window_s=window_s)
        spend(budget, 0.0, 1)
        spend(budget, step_s, 1)
        assert budget.allowance(window_s + step_s * 1.01) == 1, "the second has a step of its own"


def test_budget_is_never_below_nothing() -> None:
    budget = pacer(events=10)
    spend(budget, 0.0, 15)
    assert budget.allowance(1.0) == 0
    assert budget.capacity_until(1.0, 61.0) == 15  # what leaves the window by then, as far as anybody knows now


def test_uncounted_events_leave_with_their_request() -> None:
    budget = pacer(events=10, window_s=60)
    budget.note_sent(4)
    budget.note_sent(3)
    assert budget.allowance(0.0) == 3
    budget.note_done(5.0, 4, counted=False)
    assert budget.allowance(5.0) == 7
    budget.note_done(5.0, 3, counted=True)
    assert budget.allowance(5.0) == 7


def test_what_x_says_remains_ends_with_its_window() -> None:
    budget = pacer(events=10)
    budget.note_hint(0.0, RateHint(remaining=4, reset_after_s=30), deferred_as=None)
    assert budget.capacity_until(0.0, 29.9) == 4
    assert budget.capacity_until(0.0, 30.0) == 10
    budget.note_sent(6)
    assert budget.allowance(1.0) == 0, "more in flight than X says remains"
    assert budget.next_capacity_at(1.0) == 30.0
    assert budget.allowance(29.9) == 0
    assert budget.allowance(30.0) == 4
    budget.note_done(30.0, 6, counted=True)
    assert budget.allowance(30.0) == 4


def test_budget_left_at_x_is_no_reason_to_wait() -> None:
    budget = pacer(events=10)
    budget.note_hint(0.0, RateHint(remaining=5, reset_after_s=500), deferred_as=None)
    budget.note_sent(4)
    assert budget.allowance(2.0) == 1
    assert budget.next_capacity_at(2.0) == 2.0
    budget.note_sent(6)
    assert budget.next_capacity_at(3.0) == math.inf, "a request has to end before"
    budget.note_done(3.0, 10, counted=True)
    assert budget.next_capacity_at(3.0) == 64.0, "X has room again, the window has not"


def test_budget_spent_late_in_a_window_is_not_back_before_its_time() -> None:
    budget = pacer(events=10, window_s=60)
    spend(budget, 0.0, 10)
    assert [budget.capacity_until(0.0, until) for until in (60.0, 61.0, 121.0, 122.0)] == [0, 10, 10, 20]


def test_steps_of_the_window_are_kept_apart() -> None:
    budget = pacer(events=4, window_s=60)
    for now in (0.0, 5.0, 5.5):
        spend(budget, now, 1)
    spend(budget, 9.0, 2)
    assert budget.next_capacity_at(9.5) == 61.0, "one more than allowed is in the window"
    assert [budget.allowance(now) for now in (60.9, 61.0, 65.9, 66.0, 69.9, 70.0)] == [0, 0, 0, 2, 2, 4]


def test_what_x_said_of_a_window_is_over_with_it_whenever_one_looks() -> None:
    budget = pacer(events=10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=30), deferred_as=None)
    assert budget.allowance(31.0) == 10


def test_both_budgets_have_to_come_back() -> None:
    budget = pacer(events=10)
    spend(budget, 0.0, 10)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=500), deferred_as=None)
    assert budget.next_capacity_at(1.0) == 500.0
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=20), deferred_as=None)
    assert budget.next_capacity_at(1.0) == 61.0


def test_time_of_several_windows_holds_several_of_x_s_budgets_too() -> None:
    budget = pacer(events=10, window_s=60)
    budget.note_hint(0.0, RateHint(remaining=0, reset_after_s=30), deferred_as=None)
    assert [budget.capacity_until(0.0, until) for until in (29.0, 30.0, 89.0, 90.0)] == [0, 10, 10, 20]


@pytest.mark.parametrize(
    ("apart_s", "counts"), [(0.0, 100), (1.9, 100), (2.0, 700), (-1.9, 100), (-2.0, 700), (60.0, 700)]
)
def test_resets_two_seconds_apart_are_those_of_two_windows(apart_s: float, counts: int) -> None:
    budget = pacer(events=5000)
    budget.note_hint(0.0, RateHint(remaining=100, reset_after_s=30), deferred_as=None)
    budget.note_hint(0.0, RateHint(remaining=700, reset_after_s=30 + apart_s), deferred_as=None)
    assert budget.allowance(1.0) == counts


@pytest.mark.parametrize(
    "hint", [RateHint(remaining=0), RateHint(remaining=0, reset_after_s=0), RateHint(reset_after_s=9)]
)
def test_half_a_word_about_the_budget_says_nothing(hint: RateHint) -> None:
    budget = pacer(events=10)
    budget.note_hint(0.0, hint, deferred_as=None)
    assert budget.allowance(0.0) == 10


def test_what_answers_say_is_a_value_with_named_parts() -> None:
    with pytest.raises(TypeError, match="positional"):
        RateHint(1.0)  # type: ignore[call-arg]  # which is the point
    with pytest.raises(AttributeError, match="immutable"):
        RateHint().remaining = 1  # type: ignore[misc]  # likewise
    assert not hasattr(RateHint(), "__dict__")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, RateHint()),
        ({"retry-after": "7"}, RateHint(retry_after_s=7)),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:50 GMT"}, RateHint(retry_after_s=10)),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, RateHint(retry_after_s=0)),
        ({"retry-after": "soon"}, RateHint()),
        ({"retry-after": "nan"}, RateHint()),
        ({"retry-after": ""}, RateHint()),
        ({"retry-after": "-5"}, RateHint(retry_after_s=0)),
        ({"retry-after": "0"}, RateHint(retry_after_s=0)),
        ({"retry-after": "0.5"}, RateHint(retry_after_s=0.5)),
        ({"retry-after": "1e400"}, RateHint()),
        ({"retry-after": "Thu, 01 Jan 99999 00:00:00 GMT"}, RateHint()),
        ({"x-rate-limit-remaining": "5.9"}, RateHint(remaining=5)),
        ({"x-rate-limit-remaining": "0"}, RateHint(remaining=0)),
        ({"x-rate-limit-remaining": "1", "x-account-rate-limit-remaining": "2"}, RateHint(remaining=1)),
        ({"x-rate-limit-remaining": "1", "x-account-rate-limit-reset": "1005"}, RateHint(reset_after_s=5)),
        (
            {"x-rate-limit-remaining": "5", "x-rate-limit-reset": "1060"},
            RateHint(remaining=5, reset_after_s=60),
        ),
        (
            {
                "x-rate-limit-remaining": "5",
                "x-rate-limit-reset": "1060",
                "x-account-rate-limit-remaining": "0",
                "x-account-rate-limit-reset": "1030",
            },
            RateHint(remaining=0, reset_after_s=30),
        ),
        ({"x-rate-limit-remaining": "-3", "x-rate-limit-reset": "900"}, RateHint(remaining=0, reset_after_s=0)),
        ({"x-rate-limit-remaining": "many", "x-rate-limit-reset": "inf"}, RateHint()),
    ],
)
def test_headers_are_read_as_delays_from_now(headers: dict[str, str], expected: RateHint) -> None:
    assert read_rate_hint(headers, now_epoch_s=1000.0) == expected
