"""Every imbalance is found: each test breaks one thing in a run that balances."""

from dataclasses import replace

import pytest

from tests.soak.account import settle
from tests.soak.evidence import (
    Acceptance,
    Drive,
    End,
    Evidence,
    Instance,
    LoggedRequest,
    Pause,
    SeenDeadLetter,
    SeenRequest,
)

# Message 0: one good event. Message 1: a good one, one without consent, one that is invalid, one that X refuses.
ENDS = {0: (End.DELIVERED,), 1: (End.DELIVERED, End.SKIPPED, End.INVALID_EVENT, End.REJECTED)}
FIRST = SeenRequest(1, "o8z6j", received_at=10.0, answered_at=10.1, status=200, conversions=1)
SECOND = SeenRequest(2, "o8z6j", received_at=12.0, answered_at=12.1, status=200, conversions=1)
DEAD_LETTERS = (SeenDeadLetter((1, 2), "invalid_event", 10.0), SeenDeadLetter((1, 3), "rejected", 12.0))
GOOD = Evidence(
    ends=ENDS,
    drive=Drive(published={0: 9.0, 1: 9.0}, acked={0: 10.1, 1: 12.2}, answers={"204": 2}),
    requests=(FIRST, SECOND),
    acceptances=(Acceptance((0, 0), 1), Acceptance((1, 0), 2)),
    pauses=(),
    instances=(Instance(0.0, 100.0, "SIGTERM"), Instance(101.0, 200.0, "the end")),
    dead_letters=DEAD_LETTERS,
    skipped={1: 1},
    logged=(),
    rate_events=10,
    rate_window_s=5.0,
    request_timeout_s=3.0,
    settle_timeout_s=12.0,
)


def test_a_good_run_balances() -> None:
    account = settle(GOOD)
    assert account.balances
    assert (account.published, account.delivered, account.skipped) == (5, 2, 1)
    assert account.dead_lettered == {"invalid_event": 1, "rejected": 1}
    assert (account.waiting, account.lost) == (0, 0)


def again(request: SeenRequest, **first: object) -> Evidence:
    """Let event (0, 0) be accepted by `request` as well as by FIRST, which `first` changes."""
    return replace(
        GOOD,
        requests=(replace(FIRST, **first), SECOND, request),  # type: ignore[arg-type]  # a request's own fields
        acceptances=(*GOOD.acceptances, Acceptance((0, 0), request.request_id)),
    )


def requests_at(*moments: tuple[float, int]) -> tuple[SeenRequest, ...]:
    return tuple(SeenRequest(100 + n, "o8z6j", at, at + 0.1, 200, events) for n, (at, events) in enumerate(moments))


LATER = SeenRequest(3, "o8z6j", received_at=14.0, answered_at=14.1, status=200, conversions=1)
AFTER_RESTART = replace(LATER, received_at=150.0, answered_at=150.1)
TOLD = SeenRequest(4, "o8z6j", received_at=139.9, answered_at=140.0, status=429, conversions=0)


def lines(*requests: SeenRequest, held_up_s: float = 0.0) -> tuple[LoggedRequest, ...]:
    """Return the log's lines of these requests, each begun so long before X saw it."""
    return tuple(
        LoggedRequest(
            one.pixel_id, one.received_at - 0.01 - held_up_s, one.answered_at + 0.01, one.conversions, one.status
        )
        for one in requests
    )


IMBALANCES = {
    "a delivered event is lost": (replace(GOOD, acceptances=GOOD.acceptances[1:]), "acked and are nowhere: (0, 0)"),
    "a dead letter is lost": (replace(GOOD, dead_letters=DEAD_LETTERS[:1]), "acked and are nowhere: (1, 3)"),
    "a skipped event is not in the log": (replace(GOOD, skipped={}), "acked and are nowhere: (1, 1)"),
    "a message is never acked": (
        replace(GOOD, drive=replace(GOOD.drive, acked={1: 12.2})),
        "1 messages were never acked: 0",
    ),
    "a message is given up": (replace(GOOD, drive=replace(GOOD.drive, exhausted=[1])), "used up their delivery"),
    "a good event is dead-lettered": (
        replace(
            GOOD,
            acceptances=GOOD.acceptances[1:],
            dead_letters=(*DEAD_LETTERS, SeenDeadLetter((0, 0), "rejected", 10.0)),
        ),
        "dead-lettered as rejected instead of delivered: (0, 0)",
    ),
    "the reason of a dead letter is another": (
        replace(GOOD, dead_letters=(DEAD_LETTERS[0], replace(DEAD_LETTERS[1], reason="unauthorized"))),
        "dead-lettered as unauthorized instead of rejected: (1, 3)",
    ),
    "an event without consent is delivered": (
        replace(GOOD, acceptances=(*GOOD.acceptances, Acceptance((1, 1), 2))),
        "delivered instead of skipped: (1, 1)",
    ),
    "an event is delivered and dead-lettered": (
        replace(GOOD, dead_letters=(*DEAD_LETTERS, SeenDeadLetter((0, 0), "rejected", 10.0))),
        "both at X and in the dead-letter topic: (0, 0)",
    ),
    "X has an event of nobody's": (
        replace(GOOD, acceptances=(*GOOD.acceptances, Acceptance((-1, -1), 2))),
        "that nobody published: (-1, -1)",
    ),
    "an event is delivered twice": (again(LATER), "twice without a cause: (0, 0)"),
    "an event is delivered twice, the second answer late": (
        again(replace(LATER, answered_at=18.0)),
        "twice without a cause: (0, 0)",
    ),
    "SIGTERM between, and no duplicate": (again(AFTER_RESTART), "twice without a cause: (0, 0)"),
    "kill -9 long after its delivery": (
        replace(again(AFTER_RESTART), instances=(Instance(0.0, 100.0, "kill -9"), *GOOD.instances[1:])),
        "twice without a cause: (0, 0)",
    ),
    "a dead letter is written twice": (
        replace(GOOD, dead_letters=(*DEAD_LETTERS, replace(DEAD_LETTERS[0], failed_at=11.0))),
        "twice without a cause: (1, 2)",
    ),
    "a request is sent during a pause": (
        replace(GOOD, pauses=(Pause("o8z6j", 9.5, 12.5, FIRST.request_id),)),
        "1 requests were sent during a pause, up to 0.50 s",
    ),
    "a request is sent during a pause, as its sender could know": (
        replace(GOOD, pauses=(Pause("o8z6j", 11.8, 12.5, FIRST.request_id),), logged=lines(FIRST, SECOND)),
        "1 requests were sent during a pause, up to 0.50 s",
    ),
    "a new instance, told itself, sends during a pause": (
        replace(GOOD, requests=(*GOOD.requests, TOLD, AFTER_RESTART), pauses=(Pause("o8z6j", 140.0, 151.0, 4),)),
        "1 requests were sent during a pause",
    ),
    "the budget is exceeded by one event": (
        replace(GOOD, requests=(FIRST, SECOND, *requests_at((30.0, 6), (34.99, 5)))),
        "pixel o8z6j: 11 events within 5 s, 10 are configured",
    ),
    "a delivery is answered 500": (
        replace(GOOD, drive=replace(GOOD.drive, answers={"204": 2, "500 internal_error": 1})),
        "1 deliveries were answered 500",
    ),
    "a bug in the log": (replace(GOOD, alarms={"batcher.crashed": 3}), "the log says batcher.crashed 3 times"),
    "a person in the log": (replace(GOOD, leaks=2), "2 lines of the log hold"),
}


@pytest.mark.parametrize("name", IMBALANCES)
def test_imbalance_is_found(name: str) -> None:
    evidence, words = IMBALANCES[name]
    problems = settle(evidence).problems
    assert len(problems) == 1
    assert words in problems[0]


EXPLAINED = {
    "dropped after it was counted": (again(LATER, status=0), "X dropped the connection after it had counted them"),
    "answered after the time-out": (again(LATER, answered_at=14.0), "X answered after the time-out"),
    "given up before X had answered": (
        replace(again(LATER), logged=(replace(lines(FIRST)[0], ended_at=10.05, status=0), *lines(SECOND, LATER))),
        "the time-out was over on the way, as the log says",
    ),
    "a duplicate after a restart": (
        replace(again(AFTER_RESTART), duplicated=frozenset({0})),
        "Pub/Sub delivered a duplicate to another instance",
    ),
    "kill -9 while it was open": (
        replace(again(AFTER_RESTART), instances=(Instance(0.0, 15.0, "kill -9"), *GOOD.instances[1:])),
        "its delivery was open when kill -9 came",
    ),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_repetition_with_a_cause_is_counted_and_forgiven(name: str) -> None:
    evidence, cause = EXPLAINED[name]
    account = settle(evidence)
    assert account.balances
    assert account.causes == {f"delivered again: {cause}": 1}


def test_an_instance_is_not_blamed_for_what_the_one_before_it_was_told() -> None:
    told = Pause("o8z6j", 99.0, 160.0, 4)
    asked = replace(TOLD, received_at=98.9, answered_at=99.0)
    account = settle(replace(GOOD, requests=(*GOOD.requests, asked, AFTER_RESTART), pauses=(told,)))
    assert account.balances
    assert [one.forgiven for one in account.early] == [True]


@pytest.mark.parametrize(
    "pause",
    [
        Pause("o8z6j", 11.8, 12.5, FIRST.request_id),
        Pause("o8z6j", 9.5, 12.0, FIRST.request_id),
        Pause("p9q7k", 9.5, 12.5, FIRST.request_id),
    ],
    ids=["it was on its way", "the time is over", "another pixel's"],
)
def test_request_outside_of_every_pause(pause: Pause) -> None:
    assert settle(replace(GOOD, pauses=(pause,))).early == []


def test_request_that_was_held_up_on_its_way_ran_into_nothing() -> None:
    told = Pause("o8z6j", 10.1, 12.5, FIRST.request_id)
    logged = (*lines(FIRST), *lines(SECOND, held_up_s=1.9))
    assert settle(replace(GOOD, pauses=(told,), logged=logged)).early == []


def test_answer_that_the_function_had_given_up_told_nobody() -> None:
    told = Pause("o8z6j", 10.1, 12.5, FIRST.request_id)
    (line,) = lines(FIRST)
    logged = (replace(line, ended_at=10.05, status=0), *lines(SECOND))
    assert settle(replace(GOOD, pauses=(told,), logged=logged)).early == []


def test_answer_to_an_instance_that_is_dead_by_then_told_nobody() -> None:
    asked = replace(TOLD, received_at=99.9, answered_at=101.5)
    told = Pause("o8z6j", 101.5, 160.0, asked.request_id)
    assert settle(replace(GOOD, requests=(*GOOD.requests, asked, AFTER_RESTART), pauses=(told,))).early == []


def test_budget_counts_any_window_of_one_instance() -> None:
    full = requests_at((30.0, 10), (35.0, 10), (98.0, 10), (102.0, 10))
    account = settle(replace(GOOD, requests=(FIRST, SECOND, *full)))
    assert account.balances
    assert [(peak.of_one_instance, peak.in_all) for peak in account.peaks] == [(10, 20)]
