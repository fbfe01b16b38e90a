"""A message that comes back names the time, the id and the places that its events had first."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.origins import (
    first_message_id,
    is_replay,
    original_event_indices,
    original_publish_time,
    parse_publish_time,
    replayed_conversion_id,
    waiting_since,
)
from xcapi_core.pubsub import PubsubMessage


def message(**fields: Any) -> PubsubMessage:
    empty: dict[str, Any] = {
        "message_id": "",
        "publish_time": "",
        "data": b"",
        "attributes": {},
        "subscription": "",
        "ordering_key": "",
        "delivery_attempt": None,
    }
    return PubsubMessage(**(empty | fields))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-02-26T19:13:55.749Z", datetime(2021, 2, 26, 19, 13, 55, 749_000, tzinfo=UTC)),
        ("2021-02-26T19:13:55Z", datetime(2021, 2, 26, 19, 13, 55, tzinfo=UTC)),
        ("2021-02-26t19:13:55z", datetime(2021, 2, 26, 19, 13, 55, tzinfo=UTC)),
        ("2021-02-26T19:13:55.123456789Z", datetime(2021, 2, 26, 19, 13, 55, 123_456, tzinfo=UTC)),
        ("2021-02-26T19:13:55.1+02:00", datetime(2021, 2, 26, 17, 13, 55, 100_000, tzinfo=UTC)),
        ("2021-02-26T19:13:55-00:30", datetime(2021, 2, 26, 19, 43, 55, tzinfo=UTC)),
        ("", None),
        ("2021-02-26", None),
        ("2021-02-26T19:13:55", None),
        ("2021-02-26 19:13:55Z", None),
        ("2021-02-30T19:13:55Z", None),
        ("2021-02-26T24:13:55Z", None),
        ("2021-02-26T19:13:55.1234567891Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("2021-02-26T19:13:55Z\n", None),
        ("२०२१-02-26T19:13:55Z", None),
    ],
)
def test_publish_times_are_rfc_3339(text: str, expected: datetime | None) -> None:
    assert parse_publish_time(text) == expected


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert parse_publish_time(text) is None


@given(st.datetimes(), st.integers(min_value=-720, max_value=720))
def test_a_time_in_any_zone_is_the_same_instant(local: datetime, offset_minutes: int) -> None:
    time = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    parsed = parse_publish_time(time.isoformat())
    assert parsed is None or parsed == time


OURS, PUBSUBS = "xcapi_publish_time", "CloudPubSubDeadLetterSourceTopicPublishTime"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, "2026-01-01T00:00:00.250Z"),
        ({OURS: "2025-12-01T00:00:00Z"}, "2025-12-01T00:00:00.000Z"),
        ({PUBSUBS: "2025-12-01T01:00:00.5+01:00"}, "2025-12-01T00:00:00.500Z"),
        ({OURS: "2025-12-01T00:00:00Z", PUBSUBS: "2025-12-02T00:00:00Z"}, "2025-12-01T00:00:00.000Z"),
        ({OURS: "yesterday", PUBSUBS: "2025-12-02T00:00:00Z"}, "2025-12-02T00:00:00.000Z"),
        ({OURS: ""}, "2026-01-01T00:00:00.250Z"),
    ],
)
def test_a_message_that_comes_back_keeps_its_first_publish_time(attributes: dict[str, str], expected: str) -> None:
    read = message(publish_time="2026-01-01T00:00:00.25Z", attributes=attributes)
    assert original_publish_time(read) == expected
    assert original_publish_time(message(attributes={OURS: expected})) == expected


def test_a_publish_time_that_is_none_stays_as_it_is() -> None:
    assert original_publish_time(message(publish_time="soon")) == "soon"
    assert original_publish_time(message()) == ""


def test_the_instant_alone_decides_however_pubsub_writes_it() -> None:
    """Else a derived conversion id would change when Pub/Sub forwards a message to the dead-letter topic."""
    first = original_publish_time(message(publish_time="2021-02-26T19:13:55.749Z"))
    forwarded = original_publish_time(message(attributes={PUBSUBS: "2021-02-26T19:13:55.749000123+00:00"}))
    assert first == forwarded


def test_a_replayed_dead_letter_brings_its_conversion_id() -> None:
    assert replayed_conversion_id(message(attributes={"xcapi_conversion_id": "order-1"})) == "order-1"
    assert replayed_conversion_id(message(attributes={"xcapi_conversion_id": ""})) is None
    assert replayed_conversion_id(message()) is None


@pytest.mark.parametrize(
    ("attributes", "replay", "first_id", "since"),
    [
        ({}, False, "own", "2026-04-20T12:00:00Z"),
        # A remainder: its events came first in another message.
        (
            {"xcapi_message_id": "first", "xcapi_publish_time": "2026-04-20T10:00:00Z"},
            False,
            "first",
            "2026-04-20T10:00:00Z",
        ),
        # A dead letter that was published again, as it was and by `xcapi dlq replay`: it starts anew.
        (
            {"xcapi_message_id": "first", "xcapi_publish_time": "2026-04-20T10:00:00Z", "xcapi_reason": "rejected"},
            True,
            "own",
            "2026-04-20T12:00:00Z",
        ),
        (
            {"xcapi_message_id": "first", "xcapi_publish_time": "2026-04-20T10:00:00Z", "xcapi_replays": "1"},
            True,
            "own",
            "2026-04-20T12:00:00Z",
        ),
        # A remainder of such a replay: it waits since then.
        (
            {
                "xcapi_message_id": "replay",
                "xcapi_publish_time": "2026-04-20T10:00:00Z",
                "xcapi_replayed": "1",
                "xcapi_replay_publish_time": "2026-04-20T11:00:00Z",
            },
            False,
            "replay",
            "2026-04-20T11:00:00Z",
        ),
    ],
)
def test_a_remainder_belongs_to_its_first_message_and_a_replay_to_itself(
    attributes: dict[str, str], first_id: str, since: str, *, replay: bool
) -> None:
    found = message(message_id="own", publish_time="2026-04-20T12:00:00Z", attributes=attributes)
    assert is_replay(found) == replay
    assert first_message_id(found) == first_id
    assert waiting_since(found) == datetime.fromisoformat(since)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, None),
        ({"xcapi_event_index": "7"}, (7,)),
        ({"xcapi_event_indices": "0-3,7"}, (0, 1, 2, 3, 7)),
        ({"xcapi_event_indices": "1", "xcapi_event_index": "2"}, (1,)),
        (
            {"xcapi_event_indices": "0", "xcapi_event_indices_2": "2-3", "xcapi_event_indices_3": "9"},
            (0, 2, 3, 9),
        ),
        # The second part is missing: the third is of something else.
        ({"xcapi_event_indices": "0", "xcapi_event_indices_3": "9", "format": "x"}, (0,)),
        ({"xcapi_event_index": "600000"}, (600_000,)),
        ({"xcapi_event_indices": ""}, None),
        ({"xcapi_event_indices": "3-0,7"}, (7,)),
        ({"xcapi_event_indices": "0,"}, None),
        ({"xcapi_event_indices": "-1"}, None),
        ({"xcapi_event_indices": "two"}, None),
        ({"xcapi_event_indices": "0-1000000"}, tuple(range(1_000_001))),
        ({"xcapi_event_indices": "0-1000001"}, None),
        ({"xcapi_event_indices": "0-9,0-999991"}, None),
    ],
)
def test_indices_are_read_as_far_as_they_are_named(
    attributes: dict[str, str], expected: tuple[int, ...] | None
) -> None:
    assert original_event_indices(message(attributes=attributes)) == expected
