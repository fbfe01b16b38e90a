"""Every shape in which a delivery comes, and each that is none, at the real function: acked, or refused with 400."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.push import event, new_id, post
from tests.e2e.stack import Stack, running
from tests.test_pubsub import DELIVERIES, NO_DELIVERIES, UNWRAPPED
from xcapi_core.sandbox.services.function_venv import FunctionVenv


@pytest.fixture(scope="module")
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv) as one:
        yield one


@pytest.fixture(autouse=True)
def _fresh(stack: Stack) -> None:
    stack.start_over()


# "only an id in snake case" is the same message as "only an id": Pub/Sub's duplicate of it, as far as anybody knows.
@pytest.mark.parametrize("name", [name for name in DELIVERIES if name != "only an id in snake case"])
async def test_delivery_is_acked_and_its_data_is_dead_lettered_as_it_came(stack: Stack, name: str) -> None:
    """None of them holds a good event, so each has its dead letter."""
    headers, body, read = DELIVERIES[name]
    if "x-goog-pubsub-message-id" in headers:
        headers = {**headers, "x-goog-pubsub-message-id": new_id("m")}
    assert (await post(stack.url, body, headers)).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert dead_letter.data == read.get("data", b"")
    assert "push-token" not in str(dead_letter.attributes)


@pytest.mark.parametrize("name", NO_DELIVERIES)
async def test_what_is_no_delivery_is_400_and_says_why(stack: Stack, name: str) -> None:
    headers, body, words = NO_DELIVERIES[name]
    answer = await post(stack.url, body, headers)
    assert answer.status == 400
    assert words in str(answer.reason)
    assert "alice" not in str(answer.reason)
    assert stack.dead_letters() == []


async def test_unwrapped_event_reaches_x_and_its_dead_letter_keeps_no_other_header(stack: Stack) -> None:
    good = event(event_id=None, event="purchase")
    headers = {
        **UNWRAPPED,
        "x-goog-pubsub-message-id": new_id("m"),
        "pixel_id": "p9q7k",
        "Authorization": "Bearer push-token",
        "X-Forwarded-For": "203.0.113.7",
    }
    assert (await post(stack.url, good, headers)).status == 204
    assert stack.accepted_ids("p9q7k") == [good["conversion_id"]]
    bad = json.dumps({"event": "purchase", "email": "no-address"}).encode()
    assert (await post(stack.url, bad, headers | {"x-goog-pubsub-message-id": new_id("m")})).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert dead_letter.data == bad
    assert dead_letter.attributes["pixel_id"] == "p9q7k"
    assert "push-token" not in str(dead_letter.attributes)
    assert "203.0.113.7" not in str(dead_letter.attributes)
    assert not any("push-token" in line for line in stack.function.lines)
