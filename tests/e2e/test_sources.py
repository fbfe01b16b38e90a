"""Events of GA4 and Segment through the real function: each event of a body ends by itself, and replays as it was."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.push import new_id, push
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

_PERSONAL = ("nobody@example.com", "203.0.113.7", "SecretBrowser", "secretclick")


@pytest.fixture(scope="module")
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv) as whole:
        yield whole


def purchase(**params: object) -> dict[str, Any]:
    return {"name": "purchase", "params": {"value": "5.00", "currency": "EUR", **params}}


async def test_each_event_of_a_body_ends_by_itself_and_its_dead_letter_is_the_body_with_it_alone(stack: Stack) -> None:
    stack.start_over()
    lines = len(stack.function.lines)
    good, refused = new_id(), new_id()
    around = {
        "client_id": "1.2",
        "timestamp_micros": "1776688496000000",
        "user_data": {"email_address": "nobody@example.com"},
        "ip_override": "203.0.113.7",
        "user_agent": "SecretBrowser/1.0",
    }
    events = [
        purchase(transaction_id=good, page_location="https://shop.example/?twclid=secretclick"),
        {"name": "scroll", "params": {}},
        purchase(value="nobody@example.com"),
        {**purchase(), "consent": {"ad_user_data": "DENIED"}},
        purchase(transaction_id=refused),
    ]
    stack.sandbox.inject({"refuse": {"conversion_id": refused, "named": False}})
    assert (await push(stack.url, {**around, "events": events})).status == 204
    assert stack.accepted_ids() == [good]
    dead_letters = {dead_letter.attributes["xcapi_reason"]: dead_letter for dead_letter in stack.dead_letters(2)}
    assert json.loads(dead_letters["invalid_event"].data) == {**around, "events": [events[2]]}
    assert json.loads(dead_letters["rejected"].data) == {**around, "events": [events[4]]}
    assert dead_letters["rejected"].attributes["xcapi_conversion_id"] == refused

    # Published again once X takes it, the dead letter is the same conversion; and what is wrong is still wrong.
    stack.sandbox.clear_faults()
    for dead_letter in dead_letters.values():
        assert (await push(stack.url, dead_letter.data, attributes=dead_letter.attributes)).status == 204
    assert stack.accepted_ids() == [good, refused]
    (again,) = stack.dead_letters(1)
    assert (again.data, again.attributes["xcapi_reason"]) == (dead_letters["invalid_event"].data, "invalid_event")
    assert not [line for line in stack.function.lines[lines:] if any(word in line for word in _PERSONAL)]


async def test_batch_of_calls_is_told_apart_call_by_call(stack: Stack) -> None:
    stack.start_over()
    order = new_id()
    call = {
        "type": "track",
        "event": "Order Completed",
        "messageId": new_id(),
        "timestamp": "2026-04-20T12:34:56.000Z",
        "properties": {"order_id": order, "revenue": 5, "currency": "EUR"},
        "context": {"traits": {"email": "nobody@example.com"}},
    }
    batch = [
        {"type": "identify", "traits": {"email": "nobody@example.com"}},
        call,
        {**call, "event": {"no": "name"}},
        {**call, "integrations": {"All": False}},
        7,
    ]
    around = {"context": {"ip": "203.0.113.7", "userAgent": "SecretBrowser/1.0"}, "writeKey": "key"}
    assert (await push(stack.url, {**around, "batch": batch})).status == 204
    assert stack.accepted_ids() == [order]
    dead_letters = stack.dead_letters(2)
    assert sorted(
        (dead_letter.attributes["xcapi_event_index"], dead_letter.attributes["xcapi_reason"])
        for dead_letter in dead_letters
    ) == [
        ("2", "invalid_event"),
        ("4", "invalid_event"),
    ]
    by_index = {
        dead_letter.attributes["xcapi_event_index"]: json.loads(dead_letter.data) for dead_letter in dead_letters
    }
    assert by_index == {"2": {**around, "batch": [batch[2]]}, "4": {**around, "batch": [7]}}
