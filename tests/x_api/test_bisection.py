"""Finding the refused conversions of a batch: exactly the bad ones fall out, at a bounded cost."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.x_api.bisection import REQUEST_BUDGET, Search
from xcapi_core.x_api.errors import XError


class AllOrNothingX:
    """X as its reference describes it: one bad conversion refuses the request, and no error says which."""

    def __init__(self, bad: set[int], *, names_values: bool) -> None:
        self.bad = bad
        self.names_values = names_values
        self.requests = 0
        self.accepted: list[int] = []

    def post(self, positions: list[int]) -> list[XError]:
        self.requests += 1
        errors = [self._error(position) for position in positions if position in self.bad]
        if not errors:
            self.accepted += positions
        return errors

    def _error(self, position: int) -> XError:
        if self.names_values:
            message = f"event_id (t{position}) is not a single event tag (SET)"
        else:
            message = "At least one user identifier must be provided"
        return XError(code="INVALID_PARAMETER", message=message)


def run_search(size: int, bad: set[int], *, names_values: bool = False) -> tuple[AllOrNothingX, set[int]]:
    x = AllOrNothingX(bad, names_values=names_values)
    refused: set[int] = set()
    errors = x.post(list(range(size)))
    if not errors:
        return x, refused
    search = Search([json.dumps({"event_id": f"t{position}"}).encode() for position in range(size)], errors)
    refused |= search.take_refused().keys()
    while trial := search.next_trial():
        errors = x.post(trial)
        if errors:
            search.trial_refused(errors)
        else:
            search.trial_settled()
        refused |= search.take_refused().keys()
    return x, refused


@pytest.mark.parametrize("names_values", [True, False])
@given(size=st.integers(1, 60), seed=st.randoms(use_true_random=False))
def test_exactly_the_bad_ones_fall_out_and_all_others_are_accepted_once(
    *, size: int, seed: random.Random, names_values: bool
) -> None:
    bad = {position for position in range(size) if seed.random() < seed.random()}
    x, refused = run_search(size, bad, names_values=names_values)
    assert refused == bad
    assert sorted(x.accepted) == [position for position in range(size) if position not in bad]


def test_lone_bad_conversion_among_500_costs_at_most_12_requests_wherever_it_is() -> None:
    assert max(run_search(500, {position})[0].requests for position in range(500)) <= 12


def test_lone_bad_conversion_that_x_names_costs_at_most_3_requests() -> None:
    assert max(run_search(500, {position}, names_values=True)[0].requests for position in range(0, 500, 7)) <= 3


def test_three_unnamed_bad_conversions_among_500_cost_at_most_36_requests() -> None:
    places = random.Random(7)
    worst = max(run_search(500, set(places.sample(range(500), 3)))[0].requests for _ in range(1500))
    adjacent = max(run_search(500, {first, first + 1, first + 2})[0].requests for first in range(0, 498, 5))
    assert max(worst, adjacent) <= 36


def test_budget_is_what_three_unnamed_bad_conversions_among_500_cost() -> None:
    assert REQUEST_BUDGET == 36


@pytest.mark.parametrize(("size", "first_half"), [(2, [0]), (3, [0, 1]), (4, [0, 1]), (5, [0, 1, 2])])
def test_first_half_is_tried_first_and_is_the_larger_one(size: int, first_half: list[int]) -> None:
    assert Search([b"{}"] * size, [XError(message="?")]).next_trial() == first_half


@pytest.mark.parametrize(
    ("size", "bad", "requests"),
    [
        # By hand: the trials in brackets, refused ones with a mark.
        (2, {0, 1}, 3),  # [01]! [0]! [1]!
        (4, {0, 1, 2, 3}, 8),  # [0123]! [01]! [0]! [123]! [12]! [1]!, two in a row, so alone: [2]! [3]!
        (4, {0, 1}, 8),  # [0123]! [01]! [0]! [123]! [12]! [1]!, alone: [2], and the rest: [3]
        (6, {0, 1, 5}, 11),  # [012345]! [012]! [01]! [0]! [12345]! [123]! [12]! [1]!, alone: [2], together: [345]! [34]
        # The same again up to [2], then [3456]! [34]! [3]!, together: [456]! [45]! [4]!, alone: [5] [6]
        (7, {0, 1, 3, 4}, 17),
    ],
)
def test_after_two_bad_ones_in_a_row_the_next_is_tried_alone_until_a_good_one_comes(
    size: int, bad: set[int], requests: int
) -> None:
    x, refused = run_search(size, bad)
    assert refused == bad
    assert x.requests == requests


def test_ten_bad_ones_of_ten_cost_little_more_than_asking_for_each() -> None:
    x, refused = run_search(10, set(range(10)))
    assert refused == set(range(10))
    assert x.requests <= 20


def test_each_bad_one_carries_x_s_words_about_it() -> None:
    wires = [b'{"event_id":"good"}', b'{"event_id":"worse"}', b'{"event_id":"bad"}']
    worse = XError(code="INVALID_PARAMETER", message="event_id (worse) is not a single event tag (SET)")
    bad = XError(code="NOT_FOUND", message="event_id (bad) does not belong to provided account")
    search = Search(wires, [worse, bad])
    assert search.take_refused() == {1: (worse,), 2: (bad,)}
    assert search.next_trial() == [0]


def test_sibling_of_an_accepted_half_keeps_the_words_of_their_common_refusal() -> None:
    words = XError(message="At least one user identifier must be provided")
    search = Search([b"{}", b"{}"], [words])
    assert search.next_trial() == [0]
    search.trial_settled()
    assert search.take_refused() == {1: (words,)}
    assert search.next_trial() == []


def test_unsettled_are_those_without_a_verdict() -> None:
    search = Search([b"{}"] * 4, [XError(message="?")])
    assert search.next_trial() == [0, 1]
    search.trial_settled()
    assert search.unsettled == [2, 3]


def test_a_search_is_open_while_a_bad_one_is_known_to_be_there_and_not_known_which() -> None:
    named = XError(message="event_id (bad) is not a single event tag (SET)")
    search = Search([b'{"event_id":"good"}', b'{"event_id":"bad"}', b'{"event_id":"fine"}'], [named])
    assert search.is_open is False
    assert search.next_trial() == [0, 2]
    search.trial_refused([XError(message="no")])
    assert search.is_open is True
