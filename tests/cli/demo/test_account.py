"""The account finds every event that ended elsewhere than planned, and says so in a sentence."""

import json

import pytest

from xcapi_core.cli.demo.account import AcceptedConversion, Account, settle_accounts
from xcapi_core.cli.demo.planned import Act, DeadLettered, Delivered, ExpectedEnd, PlannedEvent, PlannedMessage, Skipped
from xcapi_core.sandbox.services.pubsub import DeadLetter

GOOD = "good"
BAD = "bad"
SILENT = "silent"


def planned(conversion_id: str, expected: ExpectedEnd) -> PlannedEvent:
    payload = json.dumps({"conversion_id": conversion_id}).encode()
    return PlannedEvent(label=conversion_id, conversion_id=conversion_id, payload=payload, expected=expected)


def act_of(*events: PlannedEvent) -> Act:
    return Act(title="act", messages=(PlannedMessage(data=b"[]", events=events),))


ACT = act_of(
    planned(GOOD, Delivered("o8z6j")),
    planned(BAD, DeadLettered("rejected", "not a valid")),
    planned(SILENT, Skipped("no consent")),
)


def accepted(conversion_id: str, pixel_id: str = "o8z6j") -> AcceptedConversion:
    return AcceptedConversion(pixel_id=pixel_id, conversion_id=conversion_id)


def dead_letter(conversion_id: str, reason: str = "rejected", words: str = "x is not a valid y") -> DeadLetter:
    attributes = {"xcapi_reason": reason, "xcapi_error_message": words}
    data = json.dumps({"conversion_id": conversion_id}).encode()
    return DeadLetter(data=data, attributes=attributes, message_id="1")


def account(conversions: list[AcceptedConversion], dead_letters: list[DeadLetter], skipped: int = 1) -> Account:
    return settle_accounts([ACT], conversions, dead_letters, {"act": skipped})


def test_everything_in_its_place_is_no_problem_and_settled() -> None:
    result = account([accepted(GOOD)], [dead_letter(BAD)])
    assert result.problems == ()
    assert result.settled == {"act": 3}
    assert {(group.count, group.end, group.why) for group in result.groups} == {
        (1, "delivered", "X accepted it at pixel o8z6j"),
        (1, "dead-lettered", "rejected: x is not a valid y"),
        (1, "skipped", "no consent"),
    }


@pytest.mark.parametrize("skipped", [0, 2])
def test_skipped_event_needs_the_functions_word_for_it(skipped: int) -> None:
    result = account([accepted(GOOD)], [dead_letter(BAD)], skipped)
    assert result.settled == {"act": 2}
    assert "“silent” should have been skipped, but is missing" in result.problems[0]


def test_events_on_their_way_are_not_settled() -> None:
    assert account([accepted(GOOD)], [], 0).settled == {"act": 1}


@pytest.mark.parametrize(
    ("conversions", "dead_letters", "problem"),
    [
        ([], [dead_letter(BAD)], "“good” should have been delivered, but is missing"),
        ([accepted(GOOD)], [], "“bad” should have been dead-lettered, but is missing"),
        ([accepted(GOOD), accepted(BAD)], [], "“bad” should have been dead-lettered, but is delivered"),
        ([accepted(GOOD), accepted(BAD)], [dead_letter(BAD)], "“bad” was both delivered and dead-lettered"),
        ([accepted(GOOD)] * 2, [dead_letter(BAD)], "“good” was accepted by X 2 times"),
        ([accepted(GOOD)], [dead_letter(BAD)] * 2, "“bad” was dead-lettered 2 times"),
        ([accepted(GOOD, "p9q7k")], [dead_letter(BAD)], "“good” went to pixel p9q7k instead of o8z6j"),
        (
            [],
            [dead_letter(BAD), dead_letter(GOOD, "unauthorized", "")],
            "“good” should have been delivered, but is dead-let",
        ),
        ([accepted(GOOD)], [dead_letter(BAD, "invalid_event")], "“bad” was dead-lettered as “invalid_event"),
        (
            [accepted(GOOD)],
            [dead_letter(BAD, words="something else")],
            "“bad” was dead-lettered as “rejected: something",
        ),
        ([accepted(GOOD), accepted(SILENT)], [dead_letter(BAD)], "“silent” should have been skipped, but is delivered"),
        ([accepted(GOOD), accepted("other")], [dead_letter(BAD)], "X accepted a conversion that nobody sent: other"),
        ([accepted(GOOD)], [dead_letter(BAD), dead_letter("other")], "A dead letter is none of the events sent"),
    ],
)
def test_event_that_ended_elsewhere_is_named(
    conversions: list[AcceptedConversion], dead_letters: list[DeadLetter], problem: str
) -> None:
    problems = account(conversions, dead_letters).problems
    assert any(problem in found for found in problems), problems


def test_dead_letter_of_pubsubs_own_is_called_exhausted() -> None:
    exhausted = DeadLetter(data=ACT.events[1].payload, attributes={}, message_id="1")
    assert "dead-lettered as “exhausted”" in account([accepted(GOOD)], [exhausted]).problems[0]


def test_event_that_is_no_json_is_known_by_its_bytes() -> None:
    rubbish = PlannedEvent(label="rubbish", conversion_id="", payload=b"{", expected=DeadLettered("invalid_message"))
    found = DeadLetter(data=b"{", attributes={"xcapi_reason": "invalid_message"}, message_id="1")
    assert settle_accounts([act_of(rubbish)], [], [found], {}).problems == ()


def test_long_list_of_problems_is_shortened() -> None:
    many = act_of(*(planned(f"lost-{number}", Delivered("o8z6j")) for number in range(500)))
    problems = settle_accounts([many], [], [], {}).problems
    assert len(problems) == 21
    assert problems[-1] == "… and 480 more."
