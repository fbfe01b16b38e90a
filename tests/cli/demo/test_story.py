"""The story tells what a demo promises, and can be accounted for."""

import json
from datetime import UTC, datetime

from tests.fakes import delivery
from xcapi_core.cli.demo.planned import DeadLettered, Delivered
from xcapi_core.cli.demo.story import EXAMPLE_ID, tell_story
from xcapi_core.events.splitting import RawMessage, split_message

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
                held = json.loads(message.data)
                if isinstance(held, dict):  # a body, a batch
                    held = held.get("events") or held["batch"]
                assert held == [json.loads(event.payload) for event in message.events]


def test_sources_are_told_by_their_shape_alone() -> None:
    (act,) = (act for act in ACTS if "GA4" in act.title)
    told = []
    for planned in act.messages:
        assert not planned.attributes
        split = split_message(delivery(planned.data))
        assert isinstance(split, RawMessage)
        assert len(split.events) == len(planned.events)
        told.append(split.format)
    assert told == ["ga4", "ga4", "ga4", "segment"]


def test_one_refused_conversion_stands_among_500_good_ones() -> None:
    for act in ACTS:
        refused = [e for e in act.events if isinstance(e.expected, DeadLettered) and e.expected.reason == "rejected"]
        if refused:
            good = [e for e in act.events if isinstance(e.expected, Delivered)]
            assert (len(refused), len(good)) == (1, 500)


def test_example_is_a_message_of_its_own() -> None:
    alone = (m for act in ACTS for m in act.messages if len(m.events) == 1)
    assert next(alone).events[0].conversion_id == EXAMPLE_ID
