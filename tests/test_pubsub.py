"""What is a Pub/Sub delivery, in the forms it comes in, and what is none."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.pubsub import NotADelivery, PubsubMessage, delivery_key, read_delivery

# Google's example of a push body: "Receive push messages" in Pub/Sub's documentation, with both spellings.
PUSH: dict[str, Any] = {
    "deliveryAttempt": 5,
    "message": {
        "attributes": {"key": "value"},
        "data": "SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==",
        "messageId": "2070443601311540",
        "message_id": "2070443601311540",
        "orderingKey": "key",
        "publishTime": "2021-02-26T19:13:55.749Z",
        "publish_time": "2021-02-26T19:13:55.749Z",
    },
    "subscription": "projects/myproject/subscriptions/mysubscription",
}
READ = PubsubMessage(
    message_id="2070443601311540",
    publish_time="2021-02-26T19:13:55.749Z",
    data=b"Hello Cloud Pub/Sub! Here is my message!",
    attributes={"key": "value"},
    subscription="projects/myproject/subscriptions/mysubscription",
    ordering_key="key",
    delivery_attempt=5,
)
JSON = {"content-type": "application/json"}
# A CloudEvent as Eventarc sends it: "HTTP protocol binding" in binary mode, its body is the push body.
BINARY_EVENT = {
    "content-type": "application/json",
    "ce-id": "2070443601311540",
    "ce-source": "//pubsub.googleapis.com/projects/myproject/topics/mytopic",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
}
STRUCTURED_EVENT = {"content-type": "application/cloudevents+json; charset=utf-8"}
ATTRIBUTES = {"specversion": "1.0", "type": "google.cloud.pubsub.topic.v1.messagePublished", "id": "1", "source": "s"}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


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
    ("headers", "request_body"),
    [
        pytest.param(JSON, body(PUSH), id="push"),
        pytest.param({}, body(PUSH), id="push without a content type"),
        pytest.param(BINARY_EVENT, body(PUSH), id="Eventarc, binary mode"),
        pytest.param(STRUCTURED_EVENT, body(ATTRIBUTES | {"data": PUSH}), id="structured mode"),
        pytest.param(
            {"content-type": "Application/CloudEvents+JSON"},
            body(ATTRIBUTES | {"data_base64": base64.b64encode(body(PUSH)).decode()}),
            id="structured mode with bytes",
        ),
    ],
)
def test_the_same_message_is_read_from_every_form(headers: dict[str, str], request_body: bytes) -> None:
    assert read_delivery(headers, request_body) == READ


@pytest.mark.parametrize("missing", ["attributes", "data", "messageId", "publishTime", "orderingKey"])
@pytest.mark.parametrize("null", [False, True])
def test_what_a_message_lacks_is_empty(missing: str, *, null: bool) -> None:
    envelope = json.loads(body(PUSH))
    del envelope["message"]["message_id"], envelope["message"]["publish_time"], envelope["message"][missing]
    if null:
        envelope["message"][missing] = None
    read = read_delivery(JSON, body(envelope))
    field = {"messageId": "message_id", "publishTime": "publish_time", "orderingKey": "ordering_key"}.get(
        missing, missing
    )
    empty: object = {"attributes": {}, "data": b""}.get(field, "")
    assert getattr(read, field) == empty


UNWRAPPED = {
    "content-type": "application/json",
    "x-goog-pubsub-message-id": "17",
    "x-goog-pubsub-publish-time": "2026-04-20T12:34:56.789Z",
    "x-goog-pubsub-subscription-name": "projects/p/subscriptions/s",
}
OTHER_EVENT = {**BINARY_EVENT, "ce-type": "com.example.order.created"}
# Every shape in which a message comes: headers, body, and what is read of it.
DELIVERIES: dict[str, tuple[dict[str, str], bytes, dict[str, Any]]] = {
    "only data": (JSON, b'{"message": {"data": "YQ=="}}', {"data": b"a"}),
    "empty data": (JSON, b'{"message": {"data": ""}}', {}),
    "only attributes": (JSON, b'{"message": {"attributes": {"a": "b"}}}', {"attributes": {"a": "b"}}),
    "empty attributes": (JSON, b'{"message": {"attributes": {}}}', {}),
    "only an id": (JSON, b'{"message": {"messageId": "7"}}', {"message_id": "7"}),
    "only an id in snake case": (JSON, b'{"message": {"message_id": "7"}}', {"message_id": "7"}),
    "fields that nobody reads": (JSON, b'{"message": {"data": "YQ==", "x": 1}, "y": 2}', {"data": b"a"}),
    "binary CloudEvent": (BINARY_EVENT, b'{"message": {"data": "YQ=="}}', {"data": b"a"}),
    "structured CloudEvent": (
        STRUCTURED_EVENT,
        body(ATTRIBUTES | {"data": {"message": {"data": "YQ=="}}}),
        {"data": b"a"},
    ),
    "unwrapped": (
        UNWRAPPED,
        b'{"event": "purchase"}',
        {
            "message_id": "17",
            "publish_time": "2026-04-20T12:34:56.789Z",
            "subscription": "projects/p/subscriptions/s",
            "data": b'{"event": "purchase"}',
        },
    ),
    "unwrapped, nothing but the id": ({"x-goog-pubsub-message-id": "17"}, b"x", {"message_id": "17", "data": b"x"}),
    "unwrapped, empty": ({"x-goog-pubsub-message-id": "17"}, b"", {"message_id": "17"}),
    "unwrapped, with a body like an envelope": (
        {"x-goog-pubsub-message-id": "17"},
        b'{"message": {"data": "YQ=="}}',
        {"message_id": "17", "data": b'{"message": {"data": "YQ=="}}'},
    ),
    "unwrapped, with a body like a CloudEvent": (
        {"x-goog-pubsub-message-id": "17", **STRUCTURED_EVENT},
        body(ATTRIBUTES),
        {"message_id": "17", "data": body(ATTRIBUTES)},
    ),
    "unwrapped, of its headers only those that are attributes": (
        {
            "x-goog-pubsub-message-id": "17",
            "authorization": "Bearer push-token",
            "x-forwarded-for": "203.0.113.7",
            "user-agent": "CloudPubSub-Google",
            "x-xcapi_reason": "no",
            "email": "alice@example.com",
            "format": "ga4",
            "pixel_id": "o8z6j",
            "xcapi_reason": "rejected",
            "googclient_schemaencoding": "JSON",
            "cloudpubsubdeadlettersourcetopicpublishtime": "2026-04-20T12:34:56.789Z",
        },
        b"",
        {
            "message_id": "17",
            "attributes": {
                "format": "ga4",
                "pixel_id": "o8z6j",
                "xcapi_reason": "rejected",
                "googclient_schemaencoding": "JSON",
                "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-04-20T12:34:56.789Z",
            },
        },
    ),
    "unwrapped, with words that are not ASCII": (
        {"x-goog-pubsub-message-id": "17", "xcapi_error_message": "“zu groß”".encode().decode("latin-1")},
        b"",
        {"message_id": "17", "attributes": {"xcapi_error_message": "“zu groß”"}},
    ),
}


@pytest.mark.parametrize(("headers", "request_body", "expected"), DELIVERIES.values(), ids=DELIVERIES.keys())
def test_every_shape_of_a_delivery_is_read(
    headers: dict[str, str], request_body: bytes, expected: dict[str, Any]
) -> None:
    assert read_delivery(headers, request_body) == message(**expected)


EVENT_WITH_A_MESSAGE = {"event": "purchase", "email": "alice@example.com", "message": {"text": "thanks"}}
# What an ack would lose: headers, body, and what the reason says.
NO_DELIVERIES: dict[str, tuple[dict[str, str], bytes, str]] = {
    "empty message": (JSON, b'{"message": {}}', "neither data nor attributes nor messageId"),
    "message of nulls": (
        JSON,
        b'{"message": {"data": null, "attributes": null, "messageId": null}}',
        "neither data nor attributes nor messageId",
    ),
    "only a time": (JSON, b'{"message": {"publishTime": "t"}}', "neither data nor attributes nor messageId"),
    "event with an object message": (JSON, body(EVENT_WITH_A_MESSAGE), "neither data nor attributes nor messageId"),
    "event with an object message, unwrapped without metadata": (JSON, body(EVENT_WITH_A_MESSAGE), "write_metadata"),
    "batch of CloudEvents": (
        {"content-type": "application/cloudevents-batch+json"},
        body([ATTRIBUTES | {"data": PUSH}]),
        "envelope",
    ),
    "structured CloudEvent in an array": (STRUCTURED_EVENT, body([ATTRIBUTES | {"data": PUSH}]), "CloudEvent"),
    "event, unwrapped without metadata": (JSON, b'{"event": "purchase"}', "write_metadata"),
    "array, unwrapped without metadata": (JSON, b'[{"event": "purchase"}]', "write_metadata"),
    "text, unwrapped without metadata": ({}, b"hello", "write_metadata"),
    "nothing, unwrapped without metadata": ({}, b"", "write_metadata"),
    "binary CloudEvent of another type": (OTHER_EVENT, body(PUSH), "type"),
    "binary CloudEvent of another type with an object message": (OTHER_EVENT, body(EVENT_WITH_A_MESSAGE), "type"),
    "binary CloudEvent without a type": (
        {name: value for name, value in BINARY_EVENT.items() if name != "ce-type"},
        body(PUSH),
        "type",
    ),
    "structured CloudEvent of another type": (
        STRUCTURED_EVENT,
        body(ATTRIBUTES | {"type": "com.example.order", "data": PUSH}),
        "type",
    ),
    "structured CloudEvent without a type": (STRUCTURED_EVENT, body({"specversion": "1.0", "data": PUSH}), "type"),
    "structured CloudEvent around no envelope": (
        STRUCTURED_EVENT,
        body(ATTRIBUTES | {"data": {"message": {"text": "thanks"}}}),
        "neither data nor attributes nor messageId",
    ),
    "structured CloudEvent under another content type": (JSON, body(ATTRIBUTES | {"data": PUSH}), "message"),
}


@pytest.mark.parametrize(("headers", "request_body", "words"), NO_DELIVERIES.values(), ids=NO_DELIVERIES.keys())
def test_what_an_ack_would_lose_is_refused(headers: dict[str, str], request_body: bytes, words: str) -> None:
    with pytest.raises(NotADelivery) as caught:
        read_delivery(headers, request_body)
    assert words in caught.value.reason
    assert "alice" not in caught.value.reason


def test_names_in_snake_case_alone_are_read() -> None:
    envelope = {"message": {"message_id": "7", "publish_time": "t", "ordering_key": "o"}, "delivery_attempt": 0}
    read = read_delivery(JSON, body(envelope))
    assert (read.message_id, read.publish_time, read.ordering_key, read.delivery_attempt) == ("7", "t", "o", 0)


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"hello alice@example.com",
    "JSON cut off": body(PUSH)[:-1],
    "two documents": body(PUSH) + body(PUSH),
    "no UTF-8": b'{"message": {"attributes": {"a": "\xff"}}}',
    "a lone surrogate": b'{"message": {"attributes": {"a": "\\ud800"}}}',
    "NaN": b'{"message": {"data": ""}, "deliveryAttempt": NaN}',
    "an array": body([PUSH]),
    "a number": b"5",
    "null": b"null",
    "no message": body({"subscription": "s"}),
    "message null": body({"message": None}),
    "message is text": body({"message": "alice@example.com"}),
    "an event, pushed without its envelope": body({"event": "purchase", "email": "alice@example.com"}),
    "data is no base64": body({"message": {"data": "alice@example.com"}}),
    "data is base64 for URLs": body({"message": {"data": "_-8="}}),
    "data lacks its padding": body({"message": {"data": "YWI"}}),
    "data is an object": body({"message": {"data": {"email": "alice@example.com"}}}),
    "attributes are a list": body({"message": {"attributes": ["alice@example.com"]}}),
    "an attribute is a number": body({"message": {"attributes": {"alice@example.com": 5}}}),
    "an attribute is null": body({"message": {"attributes": {"alice@example.com": None}}}),
    "the id is a number": body({"message": {"messageId": 2070443601311540}}),
    "the time is a number": body({"message": {"publishTime": 1614366835}}),
    "the subscription is an object": body({"message": {"data": ""}, "subscription": {}}),
    "the attempt is text": body({"message": {"data": ""}, "deliveryAttempt": "5"}),
    "the attempt is negative": body({"message": {"data": ""}, "deliveryAttempt": -1}),
    "the attempt is true": body({"message": {"data": ""}, "deliveryAttempt": True}),
    "the attempt is huge": b'{"message": {"data": ""}, "deliveryAttempt": ' + b"9" * 1_000_000 + b"}",
    "a nesting bomb": b'{"message": ' * 100_000 + b"null" + b"}" * 100_000,
    "a nesting bomb in what nobody reads": b'{"message": {"data": ""}, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("request_body", [pytest.param(value, id=name) for name, value in BAD_BODIES.items()])
@pytest.mark.parametrize("headers", [JSON, BINARY_EVENT], ids=["push", "CloudEvent"])
def test_what_is_no_delivery_is_refused_without_quoting_it(headers: dict[str, str], request_body: bytes) -> None:
    with pytest.raises(NotADelivery) as caught:
        read_delivery(headers, request_body)
    assert caught.value.reason.startswith("the body is ")
    assert "alice" not in caught.value.reason
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize(
    "request_body",
    [
        pytest.param(body(PUSH), id="a push body"),
        pytest.param(body(ATTRIBUTES), id="no data"),
        pytest.param(body(ATTRIBUTES | {"data": None}), id="data null"),
        pytest.param(body(ATTRIBUTES | {"data": "text"}), id="data is text"),
        pytest.param(body(ATTRIBUTES | {"data_base64": "!"}), id="no base64"),
        pytest.param(body(ATTRIBUTES | {"data_base64": "YWJj"}), id="no JSON in base64"),
        pytest.param(body([ATTRIBUTES | {"data": PUSH}]), id="a batch of events"),
    ],
)
def test_a_structured_event_without_an_envelope_is_no_delivery(request_body: bytes) -> None:
    with pytest.raises(NotADelivery):
        read_delivery(STRUCTURED_EVENT, request_body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([JSON, STRUCTURED_EVENT]), st.binary(max_size=100))
def test_any_bytes_are_a_delivery_or_are_refused(headers: dict[str, str], request_body: bytes) -> None:
    with pytest.raises(NotADelivery):
        read_delivery(headers, request_body)


@given(st.sampled_from(["data", "attributes", "messageId", "publishTime", "orderingKey", "other"]), JSON_VALUES)
def test_any_value_of_any_field_is_read_or_refused(field: str, value: object) -> None:
    try:
        read = read_delivery(JSON, body({"message": {field: value}}))
    except NotADelivery:
        return
    assert isinstance(read.data, bytes)
    assert all(isinstance(text, str) for pair in read.attributes.items() for text in pair)
    assert delivery_key(read) is None or field == "messageId"


@given(st.binary(max_size=100), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_data_and_attributes_arrive_as_they_were_sent(data: bytes, attributes: dict[str, str]) -> None:
    envelope = {"message": {"data": base64.b64encode(data).decode(), "attributes": attributes}}
    try:
        read = read_delivery(JSON, body(envelope))
    except NotADelivery:  # lone surrogates, which Pub/Sub does not take either
        assert any("\ud800" <= character <= "\udfff" for character in str(attributes))
    else:
        assert (read.data, read.attributes) == (data, attributes)


def test_a_message_prints_neither_its_data_nor_its_attributes() -> None:
    told = repr(message(message_id="7", data=b"alice@example.com", attributes={"phone": "+4915112345678"}))
    assert "7" in told
    assert "alice" not in told
    assert "4915" not in told


def test_a_redelivery_has_the_key_of_the_first_delivery() -> None:
    fields: dict[str, Any] = {"message_id": "7", "subscription": "s", "data": b"d", "attributes": {"a": "1", "b": "2"}}
    first = message(**fields, delivery_attempt=1)
    again = message(**fields | {"attributes": {"b": "2", "a": "1"}}, delivery_attempt=2)
    assert delivery_key(first) == delivery_key(again) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"message_id": "8"},
        {"subscription": "t"},
        {"data": b"e"},
        {"attributes": {"a": "2"}},
        {"attributes": {"a1": ""}},
        {"attributes": {}},
        {"message_id": "7s", "subscription": ""},
    ],
)
def test_another_message_has_another_key(other: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"message_id": "7", "subscription": "s", "data": b"d", "attributes": {"a": "1"}}
    assert delivery_key(message(**fields)) != delivery_key(message(**fields | other))


def test_a_message_without_an_id_has_no_key() -> None:
    assert delivery_key(message(data=b"d")) is None
