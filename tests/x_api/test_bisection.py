"""Finding the refused conversions of a batch: nobody is refused who was not refused alone or named beyond doubt."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import conversion
from tests.handling import logged
from xcapi_core.outcomes import DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.bisection import Bisection, settle_batch
from xcapi_core.x_api.client import BatchAnswer
from xcapi_core.x_api.errors import XError

UNNAMED = XError(code="INVALID_PARAMETER", message="At least one user identifier must be provided")
LONE = Rejected(reason=DeadLetterReason.REJECTED, http_status=400, error_message="alone")

Judge = Callable[[list[int]], Sequence[XError]]


def set_error(tag: object) -> XError:
    return XError(code="INVALID_PARAMETER", message=f"event_id ({tag}) is not a single event tag (SET)")


class Item:
    """One conversion of a batch; what is sent in its place is its number."""

    def __init__(self, number: int, tag: str) -> None:
        self.number = number
        self.conversion = conversion(f"c{number}", event_tag=tag)


class AllOrNothingX:
    """X as its reference describes it: a request is taken whole or refused whole."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.requests: list[list[int]] = []
        self.accepted: list[int] = []
        self.refused_alone: set[int] = set()

    async def send(self, items: Sequence[Item]) -> BatchAnswer | None:
        numbers = [item.number for item in items]
        self.requests.append(numbers)
        errors = tuple(self.judge(numbers))
        if not errors:
            self.accepted += numbers
            return BatchAnswer(outcome=Delivered())
        if len(numbers) == 1:
            self.refused_alone.add(numbers[0])
        return BatchAnswer(outcome=LONE, http_status=400, refused_for=errors)


def settle(judge: Judge, count: int, tags: Callable[[int], str] = str) -> tuple[AllOrNothingX, dict[int, Outcome]]:
    """Send one batch, and again what comes back, until everything has its outcome."""
    x, size = AllOrNothingX(judge), BatchSize(500)
    outcomes: dict[int, Outcome] = {}

    async def run() -> None:
        waiting = [Item(number, tags(number)) for number in range(count)]
        while waiting:
            batch = waiting[: size.conversions]
            async for items, outcome in settle_batch(batch, x.send, size):
                assert not outcomes.keys() & {item.number for item in items}, "one outcome each"
                outcomes.update({item.number: outcome for item in items})
            waiting = [item for item in waiting if item.number not in outcomes]

    asyncio.run(run())
    return x, outcomes


def unnamed(bad: set[int]) -> Judge:
    return lambda numbers: [UNNAMED] if bad & set(numbers) else []


def named(bad: set[int], tag: Callable[[int], object] = lambda number: f"t{number}") -> Judge:
    return lambda numbers: [set_error(tag(number)) for number in numbers if number in bad]


def rejected(outcomes: dict[int, Outcome]) -> set[int]:
    return {number for number, outcome in outcomes.items() if isinstance(outcome, Rejected)}


@pytest.mark.parametrize("rule", [unnamed, named])
@given(count=st.integers(1, 60), seed=st.randoms(use_true_random=False))
def test_exactly_the_bad_ones_fall_out_and_all_others_are_accepted_once(
    *, rule: Callable[[set[int]], Judge], count: int, seed: random.Random
) -> None:
    bad = {number for number in range(count) if seed.random() < seed.random()}
    x, outcomes = settle(rule(bad), count, lambda number: f"t{number}")
    assert rejected(outcomes) == bad
    assert sorted(x.accepted) == [number for number in range(count) if number not in bad]


@given(count=st.integers(2, 60), seed=st.randoms(use_true_random=False))
def test_nobody_is_rejected_who_was_not_refused_alone_whatever_x_says(count: int, seed: random.Random) -> None:
    def whimsical(_: list[int]) -> Sequence[XError]:
        return [UNNAMED] if seed.random() < 0.4 else []

    x, outcomes = settle(whimsical, count)
    assert rejected(outcomes) == x.refused_alone
    assert outcomes.keys() == set(range(count))


@given(count=st.integers(2, 60), tags=st.integers(1, 4), seed=st.randoms(use_true_random=False))
def test_exactly_the_bad_ones_fall_out_where_x_names_the_values_that_good_ones_share(
    count: int, tags: int, seed: random.Random
) -> None:
    bad = {number for number in range(count) if seed.random() < 0.2}

    def judge(numbers: list[int]) -> Sequence[XError]:
        named = [set_error(f"t{number % tags}") for number in numbers if number in bad]
        return named if len(numbers) > 1 else [UNNAMED] * len(named)

    x, outcomes = settle(judge, count, lambda number: f"t{number % tags}")
    assert rejected(outcomes) == bad
    assert sorted(x.accepted) == [number for number in range(count) if number not in bad]


def test_where_x_takes_the_first_with_each_value_that_it_named_the_others_are_searched() -> None:
    def judge(numbers: list[int]) -> Sequence[XError]:
        named = [set_error(f"t{number % 2}") for number in numbers if number in {14, 15}]
        return named if len(numbers) > 1 else [UNNAMED] * len(named)

    x, outcomes = settle(judge, 16, lambda number: f"t{number % 2}")
    assert rejected(outcomes) == {14, 15}
    # One of each value alone; of the seven others of the one, then of the other, those that X minds.
    assert x.requests[:4] == [list(range(16)), [1], [0], [2, 4, 6, 8]]


def test_one_spurious_refusal_of_64_good_ones_rejects_nobody() -> None:
    refusals = [[UNNAMED]]
    x, outcomes = settle(lambda _: refusals.pop() if refusals else [], 64)
    assert rejected(outcomes) == set()
    assert sorted(x.accepted) == list(range(64))


def test_lone_bad_conversion_among_500_costs_at_most_12_requests_wherever_it_is() -> None:
    costs = {place: len(settle(unnamed({place}), 500)[0].requests) for place in (*range(0, 500, 7), 1, 2, 3, 498, 499)}
    assert max(costs.values()) <= 12, costs


def test_lone_bad_conversion_that_x_names_costs_two_requests() -> None:
    x, outcomes = settle(named({7}), 500, lambda number: f"t{number}")
    assert [len(request) for request in x.requests] == [500, 499]
    assert rejected(outcomes) == {7}


def test_one_wrong_tag_in_100_of_500_costs_three_requests() -> None:
    wrong = set(range(200, 300))
    x, outcomes = settle(named(wrong, lambda _: "wrong"), 500, lambda number: "wrong" if number in wrong else "right")
    assert [len(request) for request in x.requests] == [500, 1, 400]
    assert rejected(outcomes) == wrong


def test_two_wrong_tags_that_several_share_cost_a_request_more() -> None:
    def tag(number: int) -> str:
        return ("right", "wrong", "odd")[number % 3]

    bad = {number for number in range(300) if number % 3}
    x, outcomes = settle(named(bad, tag), 300, tag)
    assert sorted(len(request) for request in x.requests) == [1, 1, 100, 300]
    assert rejected(outcomes) == bad


def test_a_lone_refusal_holds_only_for_those_with_the_very_same_value() -> None:
    """X may quote a value in another spelling than it was sent in."""

    def tag(number: int) -> str:
        return "GOOD" if number == 0 else "good"

    x, outcomes = settle(named({0}, lambda _: "good"), 10, tag)
    assert rejected(outcomes) == {0}
    assert sorted(x.accepted) == list(range(1, 10))


def test_a_lone_refusal_in_other_words_holds_for_that_one_alone() -> None:
    def judge(numbers: list[int]) -> Sequence[XError]:
        if numbers == [0]:
            return [UNNAMED]
        return [set_error("shared")] if 0 in numbers else []

    _, outcomes = settle(judge, 20, lambda _: "shared")
    assert rejected(outcomes) == {0}


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_an_undocumented_error_about_a_value_that_all_share_convicts_only_the_bad_one(bad: int) -> None:
    words = XError(code="INVALID_PARAMETER", message="event_id (tw-o8z6j-o8z21) requires a value")
    _, outcomes = settle(lambda numbers: [words] if bad in numbers else [], 20, lambda _: "tw-o8z6j-o8z21")
    assert rejected(outcomes) == {bad}


def test_a_generic_error_beside_a_specific_one_sinks_nobody() -> None:
    generic = XError(code="INVALID_PARAMETER", message="Request body failed validation")
    x, outcomes = settle(
        lambda numbers: [set_error("t42"), generic] if 42 in numbers else [], 100, lambda number: f"t{number}"
    )
    assert rejected(outcomes) == {42}
    assert len(x.requests) == 2


@pytest.mark.parametrize(
    ("share_of_bad", "most_sends", "seed"), [(0.01, 3.0, 1), (0.01, 3.0, 2), (0.05, 5.0, 1), (0.05, 5.0, 2)]
)
def test_unnamed_bad_conversions_have_each_event_sent_a_few_times(
    share_of_bad: float, most_sends: float, seed: int
) -> None:
    places = random.Random(seed)
    bad = {number for number in range(5_000) if places.random() < share_of_bad}
    x, outcomes = settle(unnamed(bad), 5_000)
    assert rejected(outcomes) == bad
    assert sum(map(len, x.requests)) / 5_000 <= most_sends


@pytest.mark.parametrize(("share_of_bad", "most_sends"), [(0.01, 3.0), (0.05, 5.0)])
def test_an_x_that_stops_at_its_first_error_is_not_asked_once_for_each(share_of_bad: float, most_sends: float) -> None:
    places = random.Random(3)
    bad = {number for number in range(5_000) if places.random() < share_of_bad}
    x, outcomes = settle(lambda numbers: named(bad)(numbers)[:1], 5_000, lambda number: f"t{number}")
    assert rejected(outcomes) == bad
    assert sum(map(len, x.requests)) / 5_000 <= most_sends


def test_an_answer_that_names_a_thousand_times_costs_one_reading_of_each() -> None:
    words = [XError(message=f"conversion_id (c{number}) is not valid") for number in range(500)]
    x, outcomes = settle(lambda numbers: [words[number] for number in numbers], 500)
    assert rejected(outcomes) == set(range(500))
    assert len(x.requests) == 1


def test_a_batch_costs_at_most_13_requests_however_many_are_bad() -> None:
    async def run() -> int:
        x = AllOrNothingX(unnamed(set(range(500))))
        async for _ in settle_batch([Item(number, "t") for number in range(500)], x.send, BatchSize(500)):
            pass
        return len(x.requests)

    assert asyncio.run(run()) <= 13


class Interrupted:
    """X that takes part in a bisection for so many requests, and gives another answer then."""

    def __init__(self, judge: Judge, after: int, answer: BatchAnswer | None) -> None:
        self.x = AllOrNothingX(judge)
        self.after = after
        self.answer = answer

    async def send(self, items: Sequence[Item]) -> BatchAnswer | None:
        if len(self.x.requests) == self.after:
            return self.answer
        return await self.x.send(items)


async def outcomes_of(interrupted: Interrupted, count: int = 16) -> dict[int, Outcome]:
    batch = [Item(number, "t") for number in range(count)]
    settled = settle_batch(batch, interrupted.send, BatchSize(500))
    return {item.number: outcome async for items, outcome in settled for item in items}


async def test_where_x_is_unwell_all_are_deferred_and_those_with_a_bad_one_among_them_are_suspect() -> None:
    unavailable = Deferred(nack_status=503, cause="x_unavailable")
    outcomes = await outcomes_of(Interrupted(unnamed({0}), 2, BatchAnswer(outcome=unavailable)))
    suspect = Deferred(nack_status=503, cause="x_unavailable", suspect=True)
    assert outcomes == {number: suspect if number < 8 else unavailable for number in range(16)}


async def test_where_nothing_may_be_sent_the_suspects_are_deferred_and_the_others_sent_in_another_batch() -> None:
    outcomes = await outcomes_of(Interrupted(unnamed({0}), 2, None))
    unfinished = Deferred(nack_status=503, cause="bisection_unfinished", suspect=True)
    assert outcomes == dict.fromkeys(range(8), unfinished)


async def test_refused_keys_in_the_middle_are_the_outcome_of_the_one_request_only() -> None:
    unauthorized = Rejected(reason=DeadLetterReason.UNAUTHORIZED, http_status=401)
    outcomes = await outcomes_of(Interrupted(unnamed({0}), 2, BatchAnswer(outcome=unauthorized)))
    unfinished = Deferred(nack_status=503, cause="bisection_unfinished", suspect=True)
    assert outcomes == {**dict.fromkeys(range(4), unauthorized), **dict.fromkeys(range(4, 8), unfinished)}


async def test_unconfirmed_part_does_not_end_a_bisection() -> None:
    unconfirmed = Rejected(reason=DeadLetterReason.UNCONFIRMED, http_status=200)
    x = AllOrNothingX(unnamed({15}))
    answers = [BatchAnswer(outcome=unconfirmed)]

    async def send(items: Sequence[Item]) -> BatchAnswer | None:
        return answers.pop() if x.requests and answers else await x.send(items)

    batch = [Item(number, "t") for number in range(16)]
    settled = settle_batch(batch, send, BatchSize(500))
    outcomes = {item.number: outcome async for items, outcome in settled for item in items}
    assert outcomes == {
        **dict.fromkeys(range(8), unconfirmed),
        **dict.fromkeys(range(8, 15), Delivered()),
        15: outcomes[15],
    }
    assert rejected(outcomes) == {*range(8), 15}


@pytest.mark.parametrize(("count", "is_bisected"), [(249, True), (250, False), (400, False)])
async def test_a_batch_twice_as_large_as_what_passes_is_not_bisected(*, count: int, is_bisected: bool) -> None:
    size = BatchSize(500)
    x = AllOrNothingX(unnamed({3}))
    size.refused(500)
    size.refused(250)
    batch = [Item(number, "t") for number in range(count)]
    outcomes = [outcome async for outcome in settle_batch(batch, x.send, size)]
    assert (len(outcomes) > 0, len(x.requests) > 1) == (is_bisected, is_bisected)


def test_the_log_says_how_many_requests_a_bisection_cost(capfd: pytest.CaptureFixture[str]) -> None:
    x, _ = settle(unnamed({3}), 16)
    (line,) = [line for line in logged(capfd) if line["event"] == "batch.bisected"]
    assert (line["conversions"], line["requests"], line["suspects"]) == (16, len(x.requests), 0)


async def size_after(judge: Judge, count: int = 16, tags: Callable[[int], str] = str) -> int:
    """Return how large batches are, of 16 at first, after one was settled as far as X lets it."""
    size = BatchSize(16)
    batch = [Item(number, tags(number)) for number in range(count)]
    async for _ in settle_batch(batch, AllOrNothingX(judge).send, size):
        pass
    return size.conversions


async def test_one_bad_one_that_x_does_not_name_halves_the_batches_once() -> None:
    assert await size_after(unnamed({0})) == 8


async def test_a_rest_that_x_refuses_as_well_halves_the_batches_again() -> None:
    assert await size_after(unnamed({0, 15})) == 4


async def test_bad_ones_that_x_names_leave_the_batches_as_large_as_they_are() -> None:
    assert await size_after(named({3}), tags=lambda number: f"t{number}") == 16
    assert await size_after(named(set(range(8)), lambda _: "wrong"), tags=lambda n: "wrong" if n < 8 else "right") == 16


async def test_a_rest_of_one_that_x_refuses_says_nothing_about_the_size_of_batches() -> None:
    def judge(numbers: list[int]) -> Sequence[XError]:
        return [set_error("t0")] if 0 in numbers else [UNNAMED]

    assert await size_after(judge, 2, lambda number: f"t{number}") == 16


@pytest.mark.parametrize(("size", "first_half"), [(2, [0]), (3, [0, 1]), (4, [0, 1]), (5, [0, 1, 2])])
def test_first_half_is_tried_first_and_is_the_larger_one(size: int, first_half: list[int]) -> None:
    assert Bisection([b"{}"] * size, [UNNAMED]).next_trial() == first_half


def test_each_bad_one_carries_x_s_words_about_it() -> None:
    wires = [json.dumps({"event_id": tag}).encode() for tag in ("good", "worse", "bad")]
    worse, bad = set_error("worse"), XError(message="event_id (bad) does not belong to provided account")
    bisection = Bisection(wires, [worse, bad])
    assert bisection.take_refused() == {1: (worse,), 2: (bad,)}
    assert bisection.next_trial() == [0]


def test_a_lone_conversion_ends_as_the_answer_says() -> None:
    assert settle(unnamed({0}), 1)[1] == {0: LONE}


def test_of_two_values_that_the_same_ones_share_one_is_enough() -> None:
    wires = [json.dumps({"event_id": "wrong", "hashed_email": "no digest"}).encode()] * 2 + [b"{}", b"{}"]
    digest = XError(message="hashed_email (no digest) is not a valid SHA-256 hash")
    bisection = Bisection(wires, [set_error("wrong"), digest])
    assert bisection.next_trial() == [0]
    bisection.trial_refused([set_error("wrong"), digest])
    assert bisection.take_refused().keys() == {0, 1}
    assert bisection.next_trial() == [2, 3]
    bisection.trial_settled()
    assert (bisection.next_trial(), bisection.unsettled) == ([], [])


def test_the_last_of_a_refused_set_is_sent_alone_before_it_is_refused() -> None:
    bisection = Bisection([b"{}", b"{}"], [UNNAMED])
    assert bisection.next_trial() == [0]
    bisection.trial_settled()
    assert bisection.take_refused() == {}
    assert bisection.next_trial() == [1]
    bisection.trial_refused([UNNAMED])
    assert bisection.take_refused() == {1: (UNNAMED,)}
    assert bisection.next_trial() == []


def test_only_those_that_x_did_not_name_are_counted_as_found() -> None:
    wires = [json.dumps({"event_id": tag}).encode() for tag in ("good", "odd", "wrong")]
    bisection = Bisection(wires, [set_error("wrong")])
    assert bisection.found_unnamed == 0
    assert bisection.next_trial() == [0, 1]
    bisection.trial_refused([UNNAMED])
    assert bisection.found_unnamed == 0, "two of them, nobody knows which"
    assert bisection.take_refused() == {2: (set_error("wrong"),)}
    alone = Bisection([b"{}", b"{}"], [UNNAMED])
    alone.next_trial()
    alone.trial_refused([UNNAMED])
    assert alone.found_unnamed == 1
