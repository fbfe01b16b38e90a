"""What X counted of an account, and how long its budgets let it take."""

from dataclasses import replace

from tests.scale.accounts import Counted, Plan, most_in_a_window, pixel_name

PLAN = Plan(
    events=1_000,
    processes=2,
    pixels=10,
    accounts=4,
    budget=100,
    window_s=10.0,
    events_per_message=50,
    share=10,
    max_backoff_s=2,
)


def test_a_window_opens_with_the_first_event_after_the_end_of_the_one_before() -> None:
    counted = [Counted(0.0, 1, 60), Counted(9.9, 1, 40), Counted(10.0, 1, 70), Counted(12.0, 2, 90)]
    assert most_in_a_window(counted, 10.0) == 100
    assert most_in_a_window([*counted, Counted(19.0, 1, 31)], 10.0) == 101
    assert most_in_a_window(reversed(counted), 10.0) == 100
    assert most_in_a_window([], 10.0) == 0


def test_accounts_get_the_events_of_their_pixels() -> None:
    assert PLAN.pixels_per_account == 3
    assert [PLAN.account_of(pixel) for pixel in range(10)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert PLAN.events_by_account() == {0: 300, 1: 300, 2: 300, 3: 100}
    assert replace(PLAN, events=110).message_sizes() == [50, 50, 10]
    assert pixel_name(7) == "p0007"


def test_at_best_the_fullest_accounts_last_window_is_spent_at_once() -> None:
    assert PLAN.at_best_s == 20.0
    assert replace(PLAN, budget=300).at_best_s == 0.0
