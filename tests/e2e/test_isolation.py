"""Only the bad conversion is refused, and finding it is cheap. Counts are X's own."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from tests.e2e.push import event, new_id, push
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def whole(function_venv: FunctionVenv) -> Iterator[Stack]:
    sandbox = SandboxConfig(events_per_window=10_000_000)
    with running(function_venv, sandbox=sandbox, request_timeout_s=5, settle_timeout_s=40) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Stack:
    whole.start_over()
    return whole


def _refuse(conversion_id: object, *, named: bool = False) -> dict[str, object]:
    return {"refuse": {"conversion_id": conversion_id, "named": named}}


async def _check(stack: Stack, events: list[dict[str, object]], bad: set[object], *, most: int) -> int:
    """Push, and hold the outcome: each good one delivered once, each bad one a dead letter with X's words."""
    answer = await push(stack.url, events)
    requests = len(stack.sandbox.requests())
    assert answer.status == 204
    accepted = stack.accepted_ids()
    assert sorted(accepted) == sorted(str(one["conversion_id"]) for one in events if one["conversion_id"] not in bad)
    dead_letters = stack.dead_letters(len(bad))
    assert {dead_letter.attributes["xcapi_conversion_id"] for dead_letter in dead_letters} == bad
    assert len(dead_letters) == len(bad)
    for dead_letter in dead_letters:
        assert dead_letter.attributes["xcapi_reason"] == "rejected"
        assert dead_letter.attributes["xcapi_http_status"] in {"400", "404"}
        assert dead_letter.attributes["xcapi_error_message"]
    assert requests <= most
    return requests


async def test_lone_unnamed_bad_conversion_among_500_costs_at_most_12_requests(stack: Stack) -> None:
    counts = []
    for place in (0, 1, 99, 100, 249, 250, 333, 498, 499):
        stack.start_over()
        events = [event() for _ in range(500)]
        bad = events[place]["conversion_id"]
        stack.sandbox.inject(_refuse(bad))
        counts.append(await _check(stack, events, {bad}, most=12))


async def test_named_bad_conversion_among_500_costs_at_most_3_requests(stack: Stack) -> None:
    for place in (0, 77, 499):
        stack.start_over()
        events = [event() for _ in range(500)]
        bad = events[place]["conversion_id"]
        stack.sandbox.inject(_refuse(bad, named=True))


async def test_documented_errors_that_name_a_value_cost_at_most_3_requests(stack: Stack) -> None:
    """An unknown tag: X sends two errors together, one of them as NOT_FOUND."""
    events = [event() for _ in range(499)] + [event(event_id="tw-o8z6j-unknown")]
    random.Random(1).shuffle(events)
    bad = {one["conversion_id"] for one in events if one["event_id"] == "tw-o8z6j-unknown"}
    await _check(stack, events, bad, most=3)


async def test_many_that_share_the_named_value_fall_together(stack: Stack) -> None:
    events = [event(event_id="tw-o8z6j-unknown" if number % 5 == 0 else "tw-o8z6j-o8z21") for number in range(500)]
    bad = {one["conversion_id"] for one in events if one["event_id"] == "tw-o8z6j-unknown"}
    await _check(stack, events, bad, most=4)


async def test_three_unnamed_bad_ones_among_500_cost_at_most_36_requests(stack: Stack) -> None:
    chance = random.Random(3)
    counts = []
    for places in ([0, 1, 2], [0, 250, 499], [99, 100, 101], *(chance.sample(range(500), 3) for _ in range(4))):
        stack.start_over()
        events = [event() for _ in range(500)]
        bad = {events[place]["conversion_id"] for place in places}
        stack.sandbox.inject(*(_refuse(one) for one in bad))
        counts.append(await _check(stack, events, bad, most=36))


async def test_bad_one_among_concurrent_single_deliveries_nacks_nobody(stack: Stack) -> None:
    stack.sandbox.inject({"latency_s": 0.05})
    events = [event() for _ in range(150)]
    bad = events[70]["conversion_id"]
    stack.sandbox.inject(_refuse(bad))
    answers = await asyncio.gather(*(push(stack.url, one) for one in events))
    assert {answer.status for answer in answers} == {204}
    assert sorted(stack.accepted_ids()) == sorted(
        str(one["conversion_id"]) for one in events if one["conversion_id"] != bad
    )
    assert len(stack.dead_letters(1)) == 1


NO_CONVERSIONS_FAULT: dict[str, tuple[dict[str, object], str, int]] = {
    "no such route": ({"status": 404}, "rejected", 1),
    "no access to the account": (
        {"status": 404, "code": "NOT_FOUND", "message": "User 1 does not have access to account 18ce552mlaq"},
        "unauthorized",
        2,
    ),
    "unauthorized": ({"status": 401}, "unauthorized", 2),
    "no Ads API access": ({"status": 403}, "unauthorized", 2),
    "unsupported media type": ({"status": 415}, "rejected", 1),
    "more than 500": (
        {"status": 400, "message": "Conversion count limit is 500", "parameter": "conversions"},
        "rejected",
        1,
    ),
}


@pytest.mark.parametrize("name", NO_CONVERSIONS_FAULT)
async def test_what_no_conversion_causes_is_not_searched_for(stack: Stack, name: str) -> None:
    fault, reason, most = NO_CONVERSIONS_FAULT[name]
    stack.sandbox.inject(fault)
    events = [event() for _ in range(500)]
    answer = await push(stack.url, events)
    assert answer.status == 204
    assert len(stack.sandbox.requests()) <= most
    dead_letters = stack.dead_letters(500)
    assert {dead_letter.attributes["xcapi_reason"] for dead_letter in dead_letters} == {reason}
    assert len({dead_letter.attributes["xcapi_conversion_id"] for dead_letter in dead_letters}) == 500
    stack.start_over()
    # Settled events are not resurrected, and the next ones go through.
    assert (await push(stack.url, event())).status == 204


async def test_pixel_that_is_of_another_account_costs_two_requests(function_venv: FunctionVenv) -> None:
    pixels = {
        "zzzzz": {
            "credentials": "projects/test-project/secrets/x-ads-o8z6j/versions/1",
            "event_ids": {"purchase": "o8z21"},
        }
    }
    with running(function_venv, pixels=pixels, default_pixel=None) as stack:
        answer = await push(stack.url, [event(event_id=None, event="purchase") for _ in range(80)])
        assert answer.status == 204
        assert [record.status for record in stack.sandbox.requests()] == [404, 404]
        dead_letters = stack.dead_letters(80)
        assert {dead_letter.attributes["xcapi_reason"] for dead_letter in dead_letters} == {"unauthorized"}
        assert {dead_letter.attributes["xcapi_error_code"] for dead_letter in dead_letters} == {"NOT_FOUND"}


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400, "code": "INVALID", "message": "Request body is not valid JSON", "parameter": ""},
        {"status": 404, "code": "NOT_FOUND", "message": "Nothing here", "parameter": ""},
        {"status": 418},
    ],
    ids=["unreadable", "nothing here", "a teapot"],
)
async def test_x_that_refuses_everything_does_not_empty_the_backlog_into_the_dead_letters(
    function_venv: FunctionVenv, fault: dict[str, object]
) -> None:
    with running(function_venv) as stack:
        stack.sandbox.inject(fault)
        answer = await push(stack.url, [event() for _ in range(200)])
        assert (answer.status, answer.reason) == (503, "refuses_everything")
        assert len(stack.dead_letters(20)) == 20
        assert stack.events_logged("pixel.refuses_everything")


async def test_a_message_of_which_every_second_event_is_refused_ends(stack: Stack) -> None:
    """60 of 120 are bad and X names none: redeliveries finish it, and the good ones are sent once."""
    events = [event() for _ in range(120)]
    bad = {one["conversion_id"] for one in events[::2]}
    stack.sandbox.inject(*({"refuse": {"conversion_id": one}} for one in bad))
    message_id = new_id("m")
    for attempt in range(1, 30):
        answer = await push(stack.url, events, message_id=message_id, attempt=attempt)
        if answer.status == 204:
            break
        assert answer.status == 503
    assert answer.status == 204
    assert sorted(stack.accepted_ids()) == sorted(
        str(one["conversion_id"]) for one in events if one["conversion_id"] not in bad
    )
    dead_letters = [dead_letter.attributes["xcapi_conversion_id"] for dead_letter in stack.dead_letters(60)]
    assert sorted(dead_letters) == sorted(map(str, bad))
