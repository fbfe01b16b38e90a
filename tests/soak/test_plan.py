"""What is published is a function of the seed."""

import json
from collections import Counter

from tests.soak.evidence import End
from tests.soak.plan import MARK, Backlog, Plan, conversion_id, event_key


def test_a_message_is_the_same_each_time() -> None:
    assert Plan(seed=3, events=500).message(7) == Plan(seed=3, events=500).message(7)
    assert Plan(seed=3, events=500).message(7) != Plan(seed=4, events=500).message(7)


def test_messages_hold_as_many_events_as_were_asked_for_in_every_mixture() -> None:
    plan = Plan(seed=1, events=5_000)
    messages = [plan.message(number) for number in range(len(plan.sizes))]
    ends = Counter(end for message in messages for end in message.ends)
    assert ends.total() == 5_000
    assert set(ends) == set(End)
    assert ends[End.DELIVERED] > 4_500
    assert {message.again for message in messages} == {"", "beside", "after"}
    assert all(MARK.encode() in message.data for message in messages if End.INVALID_EVENT not in message.ends)


def test_an_event_is_known_by_its_conversion_id() -> None:
    assert event_key(conversion_id((12, 3))) == (12, 3)
    assert event_key(conversion_id((12, 3), "-unnamed")) == (12, 3)
    assert event_key("order-1") == (-1, -1)
    assert event_key("") == (-1, -1)


def test_backlog_is_packs_of_500_whole_events() -> None:
    backlog = Backlog(events=1_000_000)
    assert sum(backlog.sizes) == 1_000_000
    events = json.loads(backlog.message(1_999).data)
    assert len(events) == len(backlog.message(1_999).ends) == 500
    assert event_key(events[499]["conversion_id"]) == (1_999, 499)
    assert 1_000 < len(json.dumps(events[0])) < 3_000
