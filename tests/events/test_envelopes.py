"""Envelopes: inherited, judged, and put around events again in dead letters, remainders and their replays."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import delivery
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.dead_letters import compose_dead_letters
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.deliveries.refused import RefusedEvent
from xcapi_core.events.envelopes import wrap_events
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import RawMessage, Unreadable, split_message
from xcapi_core.outcomes import DeadLetterReason, Invalid, Skipped
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import PixelSettings, Settings

NOW = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={
        "o8z6j": PixelSettings(
            pixel_id="o8z6j",
            credentials="env:KEYS",
            event_ids={"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
        )
    },
)


def message(data: object, **attributes: str) -> PubsubMessage:
    return delivery(
        data if isinstance(data, bytes) else json.dumps(data).encode(),
        attributes,
        message_id="77",
        publish_time="2026-04-20T12:34:59Z",
    )


def replayed(dead_letter: OutgoingMessage) -> PubsubMessage:
    return delivery(
        dead_letter.data, dict(dead_letter.attributes), message_id="78", publish_time="2026-05-01T00:00:00Z"
    )


def split(data: object, **attributes: str) -> RawMessage:
    result = split_message(message(data, **attributes))
    assert isinstance(result, RawMessage)
    return result


def parts(data: object, **attributes: str) -> list[bytes]:
    return [event for _, event in split(data, **attributes).events]


def read(data: object, **attributes: str) -> list[ReadEvent]:
    events = list(read_events(message(data, **attributes), SETTINGS, received_at=NOW, settled=frozenset()))
    assert all(isinstance(event, ReadEvent) for event in events)
    return [event for event in events if isinstance(event, ReadEvent)]


def sent(event: ReadEvent) -> dict[str, Any]:
    assert isinstance(event.result, Conversion)
    wire: dict[str, Any] = json.loads(event.result.wire)
    return wire


def purchase(order: str, **params: object) -> dict[str, Any]:
    return {"name": "purchase", "params": {"transaction_id": order, **params}}


BODY = {"client_id": "1.2", "user_data": {"email_address": "jane@example.com"}}


def test_body_of_one_event_stays_as_it_came_byte_for_byte() -> None:
    for data in (b' {"client_id":"1", "events" : [ {"name":"a"} ] }\n', b'{"events":[{"name":"a"}]}'):
        (event,) = read(data)
        assert event.message_data() == data
        (event,) = read(b"\xef\xbb\xbf" + data, format="ga4")
        assert event.message_data() == b"\xef\xbb\xbf" + data


def test_each_event_of_a_body_inherits_what_stands_around_it() -> None:
    body = {**BODY, "timestamp_micros": "1776688496123456", "ip_override": "203.0.113.7", "user_agent": "M"}
    own = {
        **purchase("3"),
        "timestamp_micros": 1_776_688_497_000_000,
        "user_data": {"email_address": "jim@example.com"},
    }
    first, second, third = (sent(event) for event in read({**body, "events": [purchase("1"), purchase("2"), own]}))
    assert [first["conversion_id"], second["conversion_id"], third["conversion_id"]] == ["1", "2", "3"]
    assert first["identifiers"] == second["identifiers"]
    assert first["identifiers"][0].keys() == {"hashed_email", "ip_address", "user_agent"}
    assert first["conversion_time"] == second["conversion_time"] == "2026-04-20T12:34:56.123Z"
    assert third["conversion_time"] == "2026-04-20T12:34:57.000Z"
    assert third["identifiers"][0]["hashed_email"] != first["identifiers"][0]["hashed_email"]


def test_refusal_of_one_event_is_not_the_others() -> None:
    willing, unwilling = purchase("1"), {**purchase("2"), "consent": {"ad_user_data": "DENIED"}}
    results = [event.result for event in read({**BODY, "events": [unwilling, willing]})]
    assert isinstance(results[0], Skipped)
    assert isinstance(results[1], Conversion)


def test_refusal_around_the_events_is_everybodys() -> None:
    body = {**BODY, "consent": {"ad_user_data": "DENIED"}, "events": [purchase("1"), purchase("2")]}
    assert [type(event.result) for event in read(body)] == [Skipped, Skipped]


@pytest.mark.parametrize(
    "bad", [None, 7, "purchase", [], {}, {"params": {}}, {"name": ["a"]}, {"name": "purchase", "params": "x"}]
)
def test_rubbish_in_a_body_harms_nobody_else(bad: object) -> None:
    first, refused, last = read({**BODY, "events": [purchase("1"), bad, purchase("2")]})
    assert sent(first)["conversion_id"] == "1"
    assert isinstance(refused.result, Invalid)
    assert sent(last)["conversion_id"] == "2"


def test_what_is_no_json_in_a_body_harms_nobody_else() -> None:
    data = b'{"client_id":"1","user_data":{"email_address":"jane@example.com"},"events":['
    data += json.dumps(purchase("1")).encode() + b',{"name": purchase},' + json.dumps(purchase("2")).encode() + b"]}"
    results = [event.result for event in read(data)]
    assert [type(result) for result in results] == [Conversion, Invalid, Conversion]


def test_segment_batch_is_cut_into_batches_of_one() -> None:
    track = {"type": "track", "event": "Order Completed", "properties": {"order_id": "1", "email": "jane@example.com"}}
    other = {"type": "track", "event": "Order Completed", "properties": {"order_id": "2", "email": "jim@example.com"}}
    batch = {
        "batch": [{"type": "identify", "traits": {"email": "jane@example.com"}}, track, other],
        "context": {"ip": "203.0.113.7", "userAgent": "M"},
        "writeKey": "key",
    }
    identify, first, second = read(batch)
    assert isinstance(identify.result, Skipped)
    assert sent(first)["identifiers"][0]["ip_address"] == "203.0.113.7"
    assert (sent(first)["conversion_id"], sent(second)["conversion_id"]) == ("1", "2")
    assert json.loads(second.message_data()) == {**batch, "batch": [other]}


def test_arrays_hold_events_and_bodies_alike() -> None:
    pack = [
        {"event_name": "purchase", "transaction_id": "1", "twclid": "c", "ip_override": "203.0.113.7"},
        {**BODY, "events": [purchase("2"), purchase("3")]},
        {**BODY, "events": [purchase("4")]},
        5,
        {**BODY, "events": []},
    ]
    assert len(split(pack, format="ga4").events) == 5
    results = [event.result for event in read(pack)]
    assert [r.conversion_id for r in results if isinstance(r, Conversion)] == ["1", "2", "3", "4"]
    assert [type(r) for r in results[4:]] == [Invalid]


def test_body_that_cannot_be_cut_harms_nobody_else_in_an_array() -> None:
    bad = {**BODY, "events": [purchase("2")], "conversions": []}
    first, refused, last = read([{**BODY, "events": [purchase("1")]}, bad, {**BODY, "events": [purchase("3")]}])
    assert sent(first)["conversion_id"] == "1"
    assert isinstance(refused.result, Invalid)
    assert sent(last)["conversion_id"] == "3"


def test_wrapped_events_of_a_dialect_stand_alone() -> None:
    rows = [{"event_name": "purchase", "event_params": [], "twclid": str(n)} for n in range(2)]
    for wrapped in ({"events": rows}, {"conversions": rows}):
        assert [json.loads(event) for event in parts(wrapped, format="ga4")] == rows


@pytest.mark.parametrize(
    "event",
    [
        {"event_name": "purchase", "events": ["a", "b"]},
        {"name": "purchase", "params": {}, "events": [1, 2]},
        {"event_name": "purchase", "event_params": [], "conversions": [1, 2]},
    ],
)
def test_event_with_an_array_of_such_a_name_is_no_body(event: dict[str, Any]) -> None:
    assert len(split(event, format="ga4").events) == 1


def test_call_with_a_batch_among_its_properties_is_no_batch() -> None:
    call = {"type": "track", "event": "Order Completed", "batch": [1, 2], "properties": {"batch": [{}, {}]}}
    assert len(split(call).events) == 1


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"events": [{"name": "a"}], "conversions": []}, "both events and conversions"),
        ("purchase", "neither"),
        (7, "neither"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_as_a_whole(data: object, found: str) -> None:
    result = split_message(message(data, format="ga4"))
    assert isinstance(result, Unreadable)
    assert found in str(result.problem)


def test_refusal_around_events_that_cannot_be_told_apart_is_heard() -> None:
    body = {"events": [{"name": "a"}], "conversions": [], "consent": "denied"}
    (event,) = read(body, format="ga4")
    assert isinstance(event.result, Skipped)


def test_large_envelope_is_not_repeated_for_each_of_its_events() -> None:
    body = {"client_id": "1", "user_properties": "x" * 1_000_000, "events": [{"name": "a"}] * 1_000}
    envelopes = {id(envelope) for envelope, _ in split(body).events}
    assert len(envelopes) == 1


def _dead_letters(data: object, indices: Sequence[int], **attributes: str) -> list[PubsubMessage]:
    incoming = message(data, **attributes)
    refused = [
        RefusedEvent(
            event_index=event.event_index,
            event_bytes=event.message_data(),
            reason=DeadLetterReason.REJECTED,
            conversion_id=event.result.conversion_id if isinstance(event.result, Conversion) else "",
            format=event.format,
        )
        for event in read(data, **attributes)
        if event.event_index in indices
    ]
    return [replayed(dead_letter) for dead_letter in compose_dead_letters(incoming, refused, failed_at=NOW)]


@pytest.mark.parametrize("attributes", [{}, {"format": "ga4"}])
def test_dead_letter_is_the_envelope_with_that_event_alone_and_its_replay_reads_the_same(
    attributes: dict[str, str],
) -> None:
    body: dict[str, Any] = {
        **BODY,
        "events": [purchase("1"), {"name": "sign_up"}, {"name": "sign_up", "params": {}}, {"name": "sign_up"}],
    }
    before = read(body, **attributes)
    dead_letters = _dead_letters(body, (1, 2, 3), **attributes)
    for dead_letter, original in zip(dead_letters, before[1:], strict=True):
        assert dead_letter.data == original.message_data()
        assert json.loads(dead_letter.data) == {**BODY, "events": [body["events"][original.event_index or 0]]}
        (again,) = read_events(dead_letter, SETTINGS, received_at=NOW, settled=frozenset())
        assert isinstance(again, ReadEvent)
        assert again.result == original.result
        assert again.event_bytes == original.event_bytes
    assert len({event.result.conversion_id for event in before if isinstance(event.result, Conversion)}) == 4


def test_shared_dead_letter_of_many_events_of_one_body_is_read_event_by_event() -> None:
    body = {**BODY, "events": [{"name": "sign_up", "params": {"n": n}} for n in range(1_200)]}
    before = {event.result.conversion_id for event in read(body) if isinstance(event.result, Conversion)}
    refused = [
        RefusedEvent(event_index=e.event_index, event_bytes=e.message_data(), reason=DeadLetterReason.REJECTED)
        for e in read(body)
    ]
    (dead_letter,) = compose_dead_letters(message(body), refused, failed_at=NOW)
    again = list(read_events(replayed(dead_letter), SETTINGS, received_at=NOW, settled=frozenset()))
    ids = {e.result.conversion_id for e in again if isinstance(e, ReadEvent) and isinstance(e.result, Conversion)}
    assert len(again) == 1_200
    assert ids == before


def test_large_envelope_is_not_repeated_for_each_of_its_refused_events() -> None:
    body = {**BODY, "padding": "p" * 1_000_000, "events": [purchase(str(n)) for n in range(100)]}
    before = read(body)
    refused = [
        RefusedEvent(
            event_index=event.event_index,
            event_bytes=event.event_bytes,
            envelope=event.envelope,
            reason=DeadLetterReason.REJECTED,
        )
        for event in before
    ]
    dead_letters = compose_dead_letters(message(body), refused, failed_at=NOW)
    assert sum(len(dead_letter.data) for dead_letter in dead_letters) < 2_000_000
    again = [
        event
        for dead_letter in dead_letters
        for event in read_events(replayed(dead_letter), SETTINGS, received_at=NOW, settled=frozenset())
    ]
    assert [e.result for e in again if isinstance(e, ReadEvent)] == [e.result for e in before]
    # A few of them stay apart, each with its reason.
    assert len(compose_dead_letters(message(body), refused[:20], failed_at=NOW)) == 20


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ENVELOPES = st.dictionaries(st.sampled_from(["client_id", "user_data", "consent", "context", 'é"\\']), _JSON)


@given(envelope=_ENVELOPES, events=st.lists(_JSON, min_size=2, max_size=6), dialect=st.sampled_from(["ga4", "segment"]))
def test_cut_again_a_body_stays_as_it_is(envelope: dict[str, object], events: list[object], dialect: str) -> None:
    array = "events" if dialect == "ga4" else "batch"
    pairs = split({**envelope, array: events}, format=dialect).events
    if not envelope:
        return
    for (around, event_bytes), event in zip(pairs, events, strict=True):
        data = wrap_events([(around, event_bytes)])
        assert json.loads(data) == {**envelope, array: [event]}
        ((again, alone),) = split(data, format=dialect).events
        assert alone == event_bytes
        assert wrap_events([(again, alone)]) == data
    assert parts(wrap_events(pairs), format=dialect) == parts({**envelope, array: events}, format=dialect)


@given(data=st.binary(max_size=200) | st.from_regex(r'[\[\]{}",:events batch0-9a-z]{0,80}', fullmatch=True))
def test_any_bytes_are_split_or_refused(data: bytes | str) -> None:
    raw = data.encode() if isinstance(data, str) else data
    for dialect in ("ga4", "segment"):
        result = split_message(message(raw, format=dialect))
        assert isinstance(result, RawMessage | Unreadable)
