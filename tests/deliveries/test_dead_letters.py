"""Dead letters: what stands in them, and Pub/Sub's limits."""

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import delivery
from xcapi_core import __version__
from xcapi_core.deliveries.dead_letters import compose_dead_letters
from xcapi_core.deliveries.outgoing import MAX_REQUEST_BYTES, OutgoingMessage, request_batches
from xcapi_core.deliveries.refused import RefusedEvent
from xcapi_core.events.envelopes import Envelope
from xcapi_core.origins import original_event_indices
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.pubsub import PubsubMessage

FAILED_AT = datetime(2026, 4, 20, 12, 34, 56, tzinfo=UTC)


def message(data: bytes = b"{}", /, **attributes: str) -> PubsubMessage:
    return delivery(
        data,
        attributes,
        message_id="m-1",
        publish_time="2026-04-20T12:00:00Z",
        subscription="projects/p/subscriptions/s",
        delivery_attempt=3,
    )


def refused(
    index: int | None = 0,
    data: bytes = b'{"a":1}',
    reason: DeadLetterReason = DeadLetterReason.REJECTED,
    error_message: str = "",
) -> RefusedEvent:
    return RefusedEvent(event_index=index, event_bytes=data, reason=reason, error_message=error_message)


def compose(source: PubsubMessage, *events: RefusedEvent) -> list[OutgoingMessage]:
    return compose_dead_letters(source, events, failed_at=FAILED_AT)


def test_dead_letter_holds_the_event_byte_for_byte_and_says_why() -> None:
    event = RefusedEvent(
        event_index=4,
        event_bytes=b' {"a" : 1}',
        reason=DeadLetterReason.REJECTED,
        http_status=400,
        error_code="INVALID_PARAMETER",
        error_parameter="hashed_email",
        error_message="hashed_email (abc) is not a valid SHA-256 hash",
        pixel_id="o8z6j",
        conversion_id="order-7",
    )
    (dead_letter,) = compose(message(source="checkout"), event)
    assert dead_letter.data == b' {"a" : 1}'
    assert dead_letter.attributes == {
        "source": "checkout",
        "xcapi_reason": "rejected",
        "xcapi_http_status": "400",
        "xcapi_error_code": "INVALID_PARAMETER",
        "xcapi_error_parameter": "hashed_email",
        "xcapi_error_message": "hashed_email (abc) is not a valid SHA-256 hash",
        "xcapi_message_id": "m-1",
        "xcapi_event_index": "4",
        "xcapi_pixel_id": "o8z6j",
        "xcapi_conversion_id": "order-7",
        "xcapi_publish_time": "2026-04-20T12:00:00.000Z",
        "xcapi_failed_at": "2026-04-20T12:34:56.000Z",
        "xcapi_delivery_attempt": "3",
        "xcapi_version": __version__,
    }


def test_what_an_earlier_dead_letter_said_is_gone_from_a_replayed_one_but_its_publish_time() -> None:
    earlier = message(
        xcapi_reason="rejected", xcapi_error_code="NOT_FOUND", xcapi_publish_time="2026-01-01T00:00:00Z", shop="nl"
    )
    (dead_letter,) = compose(earlier, refused(reason=DeadLetterReason.EXPIRED))
    assert dead_letter.attributes["xcapi_reason"] == "expired"
    assert dead_letter.attributes["xcapi_publish_time"] == "2026-01-01T00:00:00.000Z"
    assert "xcapi_error_code" not in dead_letter.attributes
    assert dead_letter.attributes["shop"] == "nl"


def test_publisher_s_attribute_whose_name_only_begins_like_ours_is_kept() -> None:
    (dead_letter,) = compose(message(xcapi_source="till 4", xcapi_suspect="true"), refused())
    assert dead_letter.attributes["xcapi_source"] == "till 4"
    assert "xcapi_suspect" not in dead_letter.attributes


def test_x_s_words_are_cut_to_1024_bytes_between_two_characters() -> None:
    (dead_letter,) = compose(message(), refused(error_message="ü€" * 1000))
    words = dead_letter.attributes["xcapi_error_message"]
    assert len(words.encode()) <= 1024
    assert words.endswith("…")
    assert set(words) == {"ü", "€", "…"}


def test_of_more_than_100_attributes_ours_win_and_the_lost_ones_are_counted() -> None:
    (dead_letter,) = compose(message(b"{}", **{f"key{number}": "v" for number in range(100)}), refused())
    assert len(dead_letter.attributes) == 100
    kept = sum(1 for key in dead_letter.attributes if key.startswith("key"))
    assert dead_letter.attributes["xcapi_attributes_dropped"] == str(100 - kept)


def test_as_many_originals_as_fit_are_all_kept() -> None:
    ours = len(compose(message(), refused())[0].attributes)
    (dead_letter,) = compose(message(b"{}", **{f"key{number}": "v" for number in range(100 - ours)}), refused())
    assert len(dead_letter.attributes) == 100
    assert "xcapi_attributes_dropped" not in dead_letter.attributes


@pytest.mark.parametrize(("key", "value"), [("googclient", "v"), ("k" * 257, "v"), ("k", "v" * 1025), ("", "v")])
def test_attributes_that_pubsub_would_refuse_are_dropped_and_counted(key: str, value: str) -> None:
    (dead_letter,) = compose(message(b"{}", **{key: value, "fine": "v"}), refused())
    assert dead_letter.attributes["fine"] == "v"
    assert key not in dead_letter.attributes
    assert dead_letter.attributes["xcapi_attributes_dropped"] == "1"


def test_a_thousand_events_refused_for_one_reason_get_a_dead_letter_each() -> None:
    dead_letters = compose(message(), *(refused(index, b"%d" % index) for index in range(1000)))
    assert [dead_letter.data for dead_letter in dead_letters] == [b"%d" % index for index in range(1000)]


def test_more_of_them_share_dead_letters_as_arrays_with_their_count() -> None:
    dead_letters = compose(message(shop="nl"), *(refused(index, b'{"i":%d}' % index) for index in range(1001)))
    assert len(dead_letters) == 1
    assert [event["i"] for event in json.loads(dead_letters[0].data)] == list(range(1001))
    assert dead_letters[0].attributes["xcapi_event_count"] == "1001"
    assert dead_letters[0].attributes["shop"] == "nl"
    assert "xcapi_event_index" not in dead_letters[0].attributes
    assert dead_letters[0].event_indices == tuple(range(1001))


def test_shared_dead_letters_keep_to_the_size_limit_and_lose_no_event() -> None:
    events = [refused(index, b'{"i":%d,"x":"%s"}' % (index, b"x" * 19_000)) for index in range(1100)]
    dead_letters = compose(message(), *events)
    assert len(dead_letters) == 3
    assert [event["i"] for dead_letter in dead_letters for event in json.loads(dead_letter.data)] == list(range(1100))
    assert all(dead_letter.size_bytes < MAX_REQUEST_BYTES for dead_letter in dead_letters)


def test_another_reason_of_the_same_message_keeps_its_own_dead_letters() -> None:
    many = [refused(index, b"{}") for index in range(1001)]
    dead_letters = compose(message(), *many, refused(1001, b"old", DeadLetterReason.EXPIRED))
    assert [dead_letter.attributes["xcapi_reason"] for dead_letter in dead_letters] == ["rejected", "expired"]
    assert dead_letters[1].data == b"old"


def test_event_that_fills_a_whole_message_goes_out_as_it_came_without_its_attributes_if_need_be() -> None:
    data = b"x" * 9_999_000
    attributes = {f"key{number}": "v" * 1000 for number in range(80)}
    (dead_letter,) = compose(message(data, **attributes), refused(None, data))
    assert dead_letter.data == data
    assert dead_letter.size_bytes <= MAX_REQUEST_BYTES


def test_event_that_only_gzip_ed_data_could_carry_goes_out_gzip_ed() -> None:
    data = b"[%b,2]" % (b"1" * 12_000_000)
    event = refused(0, b"1" * 12_000_000)
    (dead_letter,) = compose(message(gzip.compress(data), shop="nl"), event)
    assert dead_letter.fits
    assert gzip.decompress(dead_letter.data) == event.event_bytes
    assert dead_letter.attributes["xcapi_reason"] == "rejected"
    assert dead_letter.attributes["shop"] == "nl"


def test_every_shared_dead_letter_has_room_for_the_envelope() -> None:
    envelope = Envelope(head=b'{"pad":"%b","events":[' % (b"y" * 5_000_000), tail=b"]}", lone=b"")
    events = [
        RefusedEvent(
            event_index=index,
            event_bytes=b'{"x":"%b"}' % (b"x" * 8000),
            reason=DeadLetterReason.EXPIRED,
            envelope=envelope,
        )
        for index in range(1300)
    ]
    dead_letters = compose(message(shop="nl"), *events)
    assert [dead_letter.attributes["shop"] for dead_letter in dead_letters] == ["nl"] * 3
    assert [index for dead_letter in dead_letters for index in dead_letter.event_indices] == list(range(1300))


@pytest.mark.parametrize(("originals", "shares"), [(0, 1), (80, 2), (99, 15)])
def test_indices_of_shared_dead_letters_go_on_in_further_attributes_which_leave_the_originals_room(
    originals: int, shares: int
) -> None:
    attributes = {f"key{number}": "v" for number in range(originals)}
    events = [refused(index, b"{}") for index in range(0, 2002, 2)]
    dead_letters = compose(message(**attributes), *events)
    assert len(dead_letters) == shares
    kept = min(originals, 91)
    for dead_letter in dead_letters:
        assert len(dead_letter.attributes) <= 100
        assert sum(key.startswith("key") for key in dead_letter.attributes) >= kept
        assert all(len(value) <= 1024 for value in dead_letter.attributes.values())
        named = delivery(b"", dead_letter.attributes)
        assert original_event_indices(named) == dead_letter.event_indices


@given(sizes=st.lists(st.integers(0, 4_000_000), max_size=12))
def test_publish_requests_keep_order_count_and_the_size_limit(sizes: list[int]) -> None:
    dead_letters = [
        OutgoingMessage(data=bytes(size), attributes={"n": str(number)}) for number, size in enumerate(sizes)
    ]
    batches = list(request_batches(dead_letters))
    assert [dead_letter for batch in batches for dead_letter in batch] == dead_letters
    assert all(sum(dead_letter.size_bytes for dead_letter in batch) <= MAX_REQUEST_BYTES for batch in batches)


def test_publish_requests_hold_at_most_1000_messages() -> None:
    dead_letters = [OutgoingMessage(data=b"x", attributes={})] * 2001
    assert [len(batch) for batch in request_batches(dead_letters)] == [1000, 1000, 1]


def test_no_personal_value_shows_in_a_repr() -> None:
    event = refused(data=b'{"email":"a@example.com"}', error_message="hashed_email (5806dc6b)")
    (dead_letter,) = compose(message(email="a@example.com"), event)
    assert "example.com" not in repr((event, dead_letter))
    assert "5806dc6b" not in repr((event, dead_letter))
