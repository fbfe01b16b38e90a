"""Data as it may be packed: gzip, a CloudEvent, JSON text, Avro's unions; and what is published of it again."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.fakes import delivery
from xcapi_core.conversions import Conversion
from xcapi_core.events.envelopes import wrap_events
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import Unreadable
from xcapi_core.outcomes import Invalid, Skipped, SkipReason
from xcapi_core.settings import PixelSettings, Settings

NOW = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={
        "o8z6j": PixelSettings(
            pixel_id="o8z6j",
            credentials="env:KEYS",
            event_ids={"purchase": "tw-o8z6j-o8z21"},
            consent_categories=("Ads",),
        )
    },
)
X = {"event": "purchase", "order_id": "A1", "email": "jane@example.com", "value": 72.05, "currency": "USD"}
GA4 = {"event_name": "purchase", "client_id": "1.2", "transaction_id": "A1", "user_data": {"email": "jane@example.com"}}
SEGMENT = {
    "type": "track",
    "event": "Order Completed",
    "properties": {"order_id": "A1", "currency": "USD", "revenue": 72.05},
    "traits": {"email": "jane@example.com"},
}
MEASUREMENT = {
    "client_id": "1.2",
    "user_data": GA4["user_data"],
    "events": [{"name": "purchase", "params": {"transaction_id": "A1"}}],
}
EVENTS: dict[str, dict[str, Any]] = {"x": X, "ga4": {**GA4, "value": 72.05, "currency": "USD"}, "segment": SEGMENT}
CLOUD_EVENT = {"specversion": "1.0", "type": "com.example.sale", "source": "//shop.example", "id": "1"}


def read(data: object, **attributes: str) -> list[ReadEvent]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    message = delivery(body, attributes, publish_time="2026-04-20T12:34:59Z")
    return [
        event
        for event in read_events(message, SETTINGS, received_at=NOW, settled=frozenset())
        if isinstance(event, ReadEvent)
    ]


def keys(events: list[ReadEvent]) -> list[str]:
    return [
        event.result.conversion_id if isinstance(event.result, Conversion) else str(event.result) for event in events
    ]


PACKINGS: dict[str, Any] = {
    "gzip": lambda event: gzip.compress(json.dumps(event).encode(), mtime=0),
    "gzip of two members": lambda event: b"".join(
        gzip.compress(half, mtime=0) for half in (json.dumps(event).encode()[:9], json.dumps(event).encode()[9:])
    ),
    "a CloudEvent": lambda event: {**CLOUD_EVENT, "datacontenttype": "application/json", "data": event},
    "a CloudEvent with its data in Base64": lambda event: {
        **CLOUD_EVENT,
        "data_base64": base64.b64encode(json.dumps(event).encode()).decode(),
    },
    "a CloudEvent with its data as text": lambda event: {**CLOUD_EVENT, "data": json.dumps(event)},
    "a CloudEvent of one event in an array": lambda event: {**CLOUD_EVENT, "data": [event]},
    "a batch of one CloudEvent": lambda event: [{**CLOUD_EVENT, "data": event}],
    "gzip'ed CloudEvent": lambda event: gzip.compress(json.dumps({**CLOUD_EVENT, "data": event}).encode(), mtime=0),
    "JSON as the text of a JSON string": lambda event: json.dumps(json.dumps(event)).encode(),
    "an array of JSON text": lambda event: [json.dumps(event)],
    "an array of one CloudEvent as JSON text": lambda event: [json.dumps({**CLOUD_EVENT, "data": event})],
    "one CloudEvent in conversions": lambda event: {"conversions": [{**CLOUD_EVENT, "data": event}]},
    "CloudEvents in one another": lambda event: {
        **CLOUD_EVENT,
        "data": {"sent": 1, "conversions": [{**CLOUD_EVENT, "data": json.dumps(event)}]},
    },
    "an object with an index for its key": lambda event: {"0": event},
    "an array with the event in it": lambda event: [event],
    "events": lambda event: {"events": [event]},
    "conversions with indices for keys": lambda event: {"conversions": {"0": event}},
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("dialect", EVENTS)
@pytest.mark.parametrize("is_stated", [True, False])
def test_packed_event_is_read_as_if_it_were_not(packing: str, dialect: str, *, is_stated: bool) -> None:
    attributes = {"format": dialect} if is_stated else {}
    (plain,) = read(EVENTS[dialect], **attributes)
    data = PACKINGS[packing](EVENTS[dialect])
    (event,) = read(data, **attributes)
    assert isinstance(plain.result, Conversion)
    assert event.result == plain.result
    # What is published of it again reads the same.
    (again,) = read(event.message_data(), format=event.format)
    assert again.result == event.result


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("dialect", EVENTS)
def test_refusal_in_a_packed_event_is_heard(packing: str, dialect: str) -> None:
    data = PACKINGS[packing]({**EVENTS[dialect], "consent": "denied"})
    assert [type(event.result) for event in read(data, format=dialect)] == [Skipped]


def test_refusal_of_one_cloud_event_in_a_body_is_not_the_others() -> None:
    both = [{**CLOUD_EVENT, "consent": consent, "data": GA4} for consent in ("denied", "granted")]
    for body in (both, {"events": both}, {"client_id": "1", "events": both}, {"events": json.dumps(both)}):
        refused, willing = read(body)
        assert refused.result == Skipped(SkipReason.NO_CONSENT)
        assert isinstance(willing.result, Conversion)
        (again,) = read(willing.message_data())
        assert again.result == willing.result


@pytest.mark.parametrize(("inner", "outer"), [("denied", "granted"), ("granted", "denied")])
def test_refusal_of_either_of_two_cloud_events_around_an_event_holds(inner: str, outer: str) -> None:
    around = {**CLOUD_EVENT, "consent": outer, "data": {**CLOUD_EVENT, "consent": inner, "data": X}}
    assert [type(event.result) for event in read(around)] == [Skipped]


@pytest.mark.parametrize("packing", PACKINGS)
def test_refusal_in_a_message_of_no_known_format_is_not_kept(packing: str) -> None:
    for dialect, event in EVENTS.items():
        data = PACKINGS[packing]({**event, "consent": "denied"})
        assert [type(event.result) for event in read(data, format=f"{dialect}s")] == [Skipped]
        assert [type(event.result) for event in read(PACKINGS[packing](event), format=f"{dialect}s")] == [Unreadable]


def test_refusal_around_the_events_of_a_message_of_no_known_format_is_not_kept() -> None:
    for said, result in (("denied", Skipped), ("granted", Unreadable)):
        for body in ({"events": [X, X], "consent": said}, {**CLOUD_EVENT, "consent": said, "data": [X, X]}):
            assert [type(event.result) for event in read(body, format="facebook")] == [result]
    one_of_two = {"events": [X, {**X, "consent": "denied"}]}
    assert [type(event.result) for event in read(one_of_two, format="facebook")] == [Unreadable]


def test_refusal_in_a_list_where_an_event_should_be_is_not_kept() -> None:
    refused = {**X, "consent": "denied"}
    results = [event.result for event in read([[refused], [X], {"0": refused}])]
    assert [type(result) for result in results] == [Skipped, Invalid, Skipped]


@pytest.mark.parametrize("inner", [X, [X, X], {"events": [X]}])
def test_refusal_of_a_cloud_event_holds_for_all_in_it(inner: object) -> None:
    results = [event.result for event in read({**CLOUD_EVENT, "consent": "denied", "data": inner})]
    assert results
    assert all(isinstance(result, Skipped) for result in results)


def test_event_of_a_message_without_a_time_keeps_its_derived_id_in_a_remainder() -> None:
    event = json.dumps({**X, "order_id": None}).encode()
    first = delivery(b"[%b,%b]" % (event, event), {}, message_id="1", publish_time="")
    rest = delivery(event, {"xcapi_message_id": "1", "xcapi_event_indices": "1"}, message_id="2", publish_time="")
    _, second = read_events(first, SETTINGS, received_at=NOW, settled=frozenset())
    (again,) = read_events(rest, SETTINGS, received_at=NOW, settled=frozenset())
    assert isinstance(second, ReadEvent)
    assert isinstance(again, ReadEvent)
    assert isinstance(second.result, Conversion)
    assert again.result == second.result


def test_lone_event_goes_back_byte_for_byte_however_it_was_packed() -> None:
    for packing in ("gzip", "a CloudEvent", "JSON as the text of a JSON string"):
        data = PACKINGS[packing](X)
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        (event,) = read(body)
        assert event.message_data() == body


def test_events_of_a_cloud_event_keep_it_around_them() -> None:
    events = read(
        {
            **CLOUD_EVENT,
            "data": {
                "user_data": {"email": "jane@example.com"},
                "client_id": "1",
                "events": [{"name": "purchase", "params": {"transaction_id": f"A{number}"}} for number in range(3)],
            },
        }
    )
    assert keys(events) == ["A0", "A1", "A2"]
    rest = wrap_events([(event.envelope, event.event_bytes) for event in events[1:]])
    assert json.loads(rest)["specversion"] == "1.0"
    assert keys(read(rest)) == ["A1", "A2"]


@pytest.mark.parametrize(
    "data",
    [
        [{**CLOUD_EVENT, "data": [GA4, GA4]}],
        [{"sent": 1, "events": [{"name": "purchase", "user_data": GA4["user_data"]}] * 2}],
        {"sent": 1, "events": [{**CLOUD_EVENT, "data": MEASUREMENT}, {**CLOUD_EVENT, "data": json.dumps(MEASUREMENT)}]},
        {"conversions": [{"sent": 1, "events": [MEASUREMENT, {**CLOUD_EVENT, "data": [MEASUREMENT]}]}]},
    ],
    ids=["CloudEvent of a list", "array of bodies", "body of CloudEvents of bodies", "bodies in one another"],
)
def test_dialect_of_what_is_packed_more_than_once_is_told(data: object) -> None:
    events = read(data)
    assert [type(event.result) for event in events] == [Conversion, Conversion]
    assert {event.format for event in events} == {"ga4"}
    # What is left over of several envelopes is an array of them.
    rest = read(wrap_events([(event.envelope, event.event_bytes) for event in events]))
    assert [event.event_bytes for event in rest] == [event.event_bytes for event in events]
    assert {event.format for event in rest} == {"ga4"}


def test_events_of_several_envelopes_and_none_stay_in_their_order() -> None:
    body = {"client_id": "1", "user_data": {"email": "jane@example.com"}}
    data = [
        {**body, "events": [{"name": "purchase", "params": {"transaction_id": "1"}}] * 2},
        {**GA4, "transaction_id": "2"},
        {**body, "events": [{"name": "purchase", "params": {"transaction_id": "3"}}]},
    ]
    events = read(data)
    assert keys(events) == ["1", "1", "2", "3"]
    rest = wrap_events([(event.envelope, event.event_bytes) for event in events])
    assert keys(read(rest)) == ["1", "1", "2", "3"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (gzip.compress(b" " * 16_000_001, mtime=0), "more than 16000000 bytes in gzip'ed data"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-12], "gzip'ed data that ends too soon"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "gzip'ed data that is damaged"),
    ],
    ids=["too large", "cut off", "damaged"],
)
def test_gzip_that_cannot_be_unpacked_is_an_unreadable_message(data: bytes, found: str) -> None:
    (event,) = read(data)
    assert isinstance(event.result, Unreadable)
    assert event.result.problem.found == found


AVRO = {
    "event": {"string": "purchase"},
    "order_id": {"string": "A1"},
    "email": None,
    "value": {"double": 72.05},
    "currency": {"com.example.Currency": "USD"},
    "user": {"com.example.User": {"email": {"string": "jane@example.com"}}},
    "items": {"array": [{"item_id": {"string": "S1"}, "quantity": {"int": 2}}]},
}


@pytest.mark.parametrize("attribute", ["googclient_schemaencoding", "xcapi_schema_encoding"])
def test_avro_s_unions_are_taken_off_in_messages_that_have_them(attribute: str) -> None:
    (event,) = read(AVRO, **{attribute: "JSON"})
    assert isinstance(event.result, Conversion)
    sent = json.loads(event.result.wire)
    assert (sent["conversion_id"], sent["value"], sent["price_currency"]) == ("A1", "72.05", "USD")
    assert sent["contents"] == [{"content_id": "S1", "num_items": 2}]
    assert event.message_data() == json.dumps(AVRO).encode()


def test_unions_in_json_text_are_taken_off() -> None:
    unions = {"googclient_schemaencoding": "JSON"}
    user = {"com.example.User": {"email": {"string": "jane@example.com"}, "prefs": {"com.example.Prefs": {}}}}
    event = {**X, "email": None, "user": json.dumps(user), "description": '{"a": 1}'}
    (plain,) = read({**event, "user": {"email": "jane@example.com"}}, **unions)
    (read_from_text,) = read(event, **unions)
    assert isinstance(plain.result, Conversion)
    assert read_from_text.result == plain.result


UNIONS: dict[str, Any] = {
    "the message": lambda body: {"com.example.Message": body},
    "an array": lambda body: {"array": [{"com.example.Message": body}]},
    "JSON text": lambda body: {"string": json.dumps(body)},
    "a CloudEvent": lambda body: {"com.example.Event": {**CLOUD_EVENT, "data": {"string": json.dumps(body)}}},
}


@pytest.mark.parametrize("around", UNIONS)
@pytest.mark.parametrize("body", [X, GA4, SEGMENT, MEASUREMENT, {"events": [X]}, {"batch": [SEGMENT]}], ids=str)
def test_unions_around_a_body_are_taken_off(around: str, body: dict[str, Any]) -> None:
    unions = {"googclient_schemaencoding": "JSON"}
    (plain,) = read(body)
    (event,) = read(UNIONS[around](body), **unions)
    assert isinstance(plain.result, Conversion)
    assert isinstance(event.result, Conversion)
    assert (
        msgspec.json.decode(event.result.wire)["identifiers"] == msgspec.json.decode(plain.result.wire)["identifiers"]
    )
    (again,) = read(event.message_data(), **unions)
    assert again.result == event.result
    (refused,) = read(UNIONS[around]({**body, "consent": "denied"}), **unions)
    assert isinstance(refused.result, Skipped)


@pytest.mark.parametrize("said", ['"opt_out": {"boolean": true}', '"opt_out": {"boolean": true}, "opt_out": null'])
@pytest.mark.parametrize("place", ["user", "context", "device"])
def test_refusal_in_a_union_in_json_text_is_heard(said: str, place: str) -> None:
    text = f'{{"device": {{"com.example.Device": {{{said}}}}}, "email": {{"string": "jane@example.com"}}}}'
    (event,) = read({**X, place: text}, googclient_schemaencoding="JSON")
    assert event.result == Skipped(SkipReason.NO_CONSENT)


def test_refusal_in_a_union_is_heard() -> None:
    for refusal in ({"consent": {"boolean": False}}, {"user": {"com.example.User": {"opt_out": {"boolean": True}}}}):
        (event,) = read({**AVRO, **refusal}, googclient_schemaencoding="JSON")
        assert isinstance(event.result, Skipped)


@pytest.mark.parametrize("dialect", ["ga4", "segment"])
def test_unions_around_the_events_of_a_body_are_taken_off(dialect: str) -> None:
    array = "events" if dialect == "ga4" else "batch"
    inner = {"name": {"string": "purchase"}, "params": {"map": {"transaction_id": {"string": "A1"}}}}
    call = {
        "type": {"string": "track"},
        "event": {"string": "Order Completed"},
        "properties": {"a.P": {"order_id": "A1"}},
        "traits": {"map": {"email": {"string": "jane@example.com"}}},
    }
    body = {
        array: {"array": [inner if dialect == "ga4" else call]},
        "client_id": {"string": "1"},
        "user_data": {"a.User": {"email": {"string": "jane@example.com"}}},
    }
    (event,) = read(body, googclient_schemaencoding="JSON")
    assert event.format == dialect
    assert keys([event]) == ["A1"]
