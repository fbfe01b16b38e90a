"""The story tells what a demo promises, and can be accounted for."""

import json
from datetime import UTC, datetime

from xcapi_core.cli.demo.planned import DeadLettered, Delivered
from xcapi_core.cli.demo.story import EXAMPLE_ID, tell_story

ACTS = tell_story(datetime(2026, 4, 20, 12, 34, 56, tzinfo=UTC))
EVENTS = [event for act in ACTS for event in act.events]


def test_every_event_can_be_told_from_every_other() -> None:
    keys = [event.conversion_id or event.payload for event in EVENTS]
    assert len(set(keys)) == len(keys)


def test_every_act_has_a_title_of_its_own() -> None:
    assert len({act.title for act in ACTS}) == len(ACTS)


def test_message_holds_exactly_the_events_that_are_accounted_for() -> None:
    for act in ACTS:
        for message in act.messages:
            if len(message.events) == 1:
                assert message.data == message.events[0].payload
            else:
                assert json.loads(message.data) == [json.loads(event.payload) for event in message.events]


def test_one_refused_conversion_stands_among_500_good_ones() -> None:
    for act in ACTS:
        refused = [e for e in act.events if isinstance(e.expected, DeadLettered) and e.expected.reason == "rejected"]
        if refused:
            good = [e for e in act.events if isinstance(e.expected, Delivered)]
            assert (len(refused), len(good)) == (1, 500)


def test_example_is_a_message_of_its_own() -> None:
    alone = (m for act in ACTS for m in act.messages if len(m.events) == 1)
    assert next(alone).events[0].conversion_id == EXAMPLE_ID
