"""What a delivery is, and what it is answered."""

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest

from tests.e2e.push import SUBSCRIPTION, envelope, event, new_id, post, push, push_all, request
from tests.e2e.stack import Stack, running, wait_for
from xcapi_core import __version__
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def whole(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv, default_currency="USD") as stack:
        yield stack


@pytest.fixture(scope="module")
def whole_hasty(function_venv: FunctionVenv) -> Iterator[Stack]:
    """Time limits that are waited for."""
    with running(function_venv, request_timeout_s=4, settle_timeout_s=7) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Stack:
    whole.start_over()
    return whole


@pytest.fixture
def hasty(whole_hasty: Stack) -> Stack:
    whole_hasty.start_over()
    return whole_hasty


def _message(stack_event: dict[str, object], **fields: object) -> dict[str, object]:
    data = base64.b64encode(json.dumps(stack_event).encode()).decode()
    return {"data": data, **fields}


async def test_get_tells_version_and_settings_without_references(stack: Stack) -> None:
    answer = await request(stack.url, "GET")
    assert answer.status == 200
    body = answer.json
    assert isinstance(body, dict)
    assert body["version"] == __version__
    assert body["settings"]["pixels"]["o8z6j"]["credentials"] == "secret_manager"
    assert b"projects/" not in answer.body
    assert b"x-ads" not in answer.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_no_deliveries(stack: Stack, method: str) -> None:
    answer = await request(stack.url, method, b"{}")
    assert 400 <= answer.status < 500


async def test_every_form_of_a_delivery_arrives(stack: Stack) -> None:
    ids = [new_id() for _ in range(9)]
    push_form = envelope(event(conversion_id=ids[0]))
    bodies: list[tuple[object, dict[str, str]]] = [
        (push_form, {}),
        # nothing but data
        ({"message": _message(event(conversion_id=ids[1]))}, {}),
        # snake_case alone, nulls everywhere else
        (
            {
                "message": _message(
                    event(conversion_id=ids[2]),
                    message_id=new_id("m"),
                    publish_time="2026-04-20T12:35:00Z",
                    ordering_key="k",
                    attributes=None,
                    messageId=None,
                ),
                "subscription": None,
                "deliveryAttempt": None,
                "delivery_attempt": 3,
            },
            {},
        ),
        # both spellings, as real pushes have them, and members that nobody knows
        (
            {
                "message": _message(
                    event(conversion_id=ids[3]),
                    messageId="1",
                    message_id="1",
                    publishTime="2026-04-20T12:35:00.5Z",
                    publish_time="2026-04-20T12:35:00.5Z",
                    attributes={},
                    unknown={"a": [1]},
                ),
                "subscription": SUBSCRIPTION,
                "deliveryAttempt": 1,
                "novelty": True,
            },
            {"Content-Type": "application/json; charset=utf-8", "User-Agent": "CloudPubSub-Google"},
        ),
        # CloudEvent, binary
        (
            envelope(event(conversion_id=ids[4])),
            {
                "ce-id": "1",
                "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
                "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
                "ce-specversion": "1.0",
            },
        ),
        # CloudEvent, structured, data as JSON
        (_cloud_event(data=envelope(event(conversion_id=ids[5]))), _STRUCTURED),
        # CloudEvent, structured, data in base64
        (
            _cloud_event(
                data_base64=base64.b64encode(json.dumps(envelope(event(conversion_id=ids[6]))).encode()).decode()
            ),
            {"Content-Type": "application/cloudevents+json"},
        ),
        # no content type that says JSON
        (envelope(event(conversion_id=ids[7])), {"Content-Type": "text/plain"}),
        # an escaped and spaced body
        (
            json.dumps(envelope(event(conversion_id=ids[8])), indent=3).replace("message", "mess\\u0061ge", 1).encode(),
            {},
        ),
    ]
    answers = await asyncio.gather(*(post(stack.url, body, headers) for body, headers in bodies))
    assert [answer.status for answer in answers] == [204] * len(bodies)
    assert all(answer.body == b"" for answer in answers)
    assert sorted(stack.accepted_ids()) == sorted(ids)


_STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}


def _cloud_event(**data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": "1",
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": "s",
        "datacontenttype": "application/json",
        **data,
    }


async def test_an_attribute_names_the_pixel_and_the_token_signs_for_it(stack: Stack) -> None:
    good = event(event_id=None, event="Purchase")
    answer = await push(stack.url, good, attributes={"pixel_id": "p9q7k", "format": "x"})
    assert answer.status == 204
    assert stack.accepted_ids("p9q7k") == [good["conversion_id"]]
    assert [record.auth for record in stack.sandbox.requests("p9q7k")] == ["pixel_token"]


@pytest.mark.parametrize("wrapped", ["array", "events", "conversions"])
async def test_many_events_of_one_message_share_requests_of_500(stack: Stack, wrapped: str) -> None:
    events = [event() for _ in range(1100)]
    answer = await push(stack.url, events if wrapped == "array" else {wrapped: events})
    assert answer.status == 204
    assert sorted(stack.accepted_ids()) == sorted(str(one["conversion_id"]) for one in events)
    sizes = [record.conversions for record in stack.sandbox.requests()]
    assert sum(sizes) == 1100
    assert max(sizes) <= 500
    assert len(sizes) <= 4


async def test_empty_list_is_acked_and_message_without_data_is_a_dead_letter(stack: Stack) -> None:
    assert (await push(stack.url, [])).status == 204
    assert (await push(stack.url, {"events": []})).status == 204
    assert stack.dead_letters() == []
    for message in ({"attributes": {"a": "b"}}, {"data": "", "attributes": {"a": "b"}}, {"messageId": "7"}):
        assert (await post(stack.url, {"message": message})).status == 204
        (dead_letter,) = stack.dead_letters(1)
        assert dead_letter.data == b""
        assert dead_letter.attributes["xcapi_reason"] == "invalid_message"


async def test_x_failing_to_answer_is_503_with_its_cause(stack: Stack) -> None:
    stack.sandbox.inject({"status": 503, "times": 1})
    answer = await push(stack.url, event())
    assert (answer.status, answer.reason) == (503, "x_unavailable")
    # A kept connection that closes without an answer gets a fresh try; that one is not repeated.
    stack.sandbox.inject({"drop": "before", "times": 2})
    answer = await push(stack.url, event())
    stack.sandbox.clear_faults()
    assert (answer.status, answer.reason) == (503, "x_unreachable")


async def test_x_that_does_not_answer_in_time_is_503(hasty: Stack) -> None:
    hasty.sandbox.inject({"latency_s": 600, "times": 1})
    answer = await push(hasty.url, event())
    assert (answer.status, answer.reason) == (503, "x_timeout")


async def test_a_duplicate_in_progress_joins_and_costs_no_second_post(stack: Stack) -> None:
    stack.sandbox.inject({"latency_s": 0.5})
    duplicate = envelope(event(), message_id=new_id("m"))
    answers = await asyncio.gather(*(post(stack.url, {**duplicate, "deliveryAttempt": n}) for n in range(1, 6)))
    assert [answer.status for answer in answers] == [204] * 5
    assert [record.conversions for record in stack.sandbox.requests()] == [1]


async def test_a_duplicate_in_progress_joins_the_dead_letters_too(stack: Stack) -> None:
    stack.sandbox.inject({"latency_s": 0.3})
    duplicate = envelope([event(), {"junk": 1}], message_id=new_id("m"))
    answers = await asyncio.gather(*(post(stack.url, duplicate) for _ in range(4)))
    assert [answer.status for answer in answers] == [204] * 4
    assert len(stack.dead_letters(1)) == 1


async def test_same_message_id_with_other_content_is_another_message(stack: Stack) -> None:
    stack.sandbox.inject({"latency_s": 0.2})
    ids = [new_id() for _ in range(3)]
    message_id = new_id("m")
    answers = await asyncio.gather(
        *(post(stack.url, envelope(event(conversion_id=one), message_id=message_id)) for one in ids)
    )
    assert [answer.status for answer in answers] == [204] * 3
    assert sorted(stack.accepted_ids()) == sorted(ids)


async def test_the_same_conversion_in_several_messages_is_sent_once(stack: Stack) -> None:
    same = event()
    answers = await push_all(stack.url, [same] * 10)
    answers += [await push(stack.url, same)]
    assert {answer.status for answer in answers} == {204}
    assert stack.accepted_ids() == [same["conversion_id"]]


async def test_redelivery_of_a_message_settled_in_part_sends_only_what_is_left(stack: Stack) -> None:
    """Two pixels, one of them down: the delivery is nacked as a whole, and its redelivery repeats nothing."""
    here = [event() for _ in range(5)]
    there = [event(event_id=None, event="purchase", pixel_id="p9q7k") for _ in range(4)]
    rubbish = [{"nothing": "usable"}, 17]
    refused = event(event_id="tw-o8z6j-unknown")
    body = envelope([*here, *there, *rubbish, refused], message_id=new_id("m"))
    stack.sandbox.inject({"status": 503, "pixel_id": "p9q7k"})
    first = await post(stack.url, {**body, "deliveryAttempt": 1})
    assert first.status == 503
    assert len(stack.dead_letters(3)) == 3
    assert sorted(stack.accepted_ids()) == sorted(str(one["conversion_id"]) for one in here)
    again = await post(stack.url, {**body, "deliveryAttempt": 2})
    assert again.status == 503
    stack.sandbox.clear_faults()
    final = await post(stack.url, {**body, "deliveryAttempt": 3})
    assert final.status == 204
    assert sorted(stack.accepted_ids()) == sorted(str(one["conversion_id"]) for one in [*here, *there])
    assert stack.dead_letters() == []
    # Once more, as Pub/Sub does when an ack is lost.
    assert (await post(stack.url, {**body, "deliveryAttempt": 4})).status == 204
    assert len(stack.accepted_ids()) == len(here) + len(there)
    assert stack.dead_letters() == []


async def test_what_x_answers_after_the_delivery_was_given_up_is_remembered(stack: Stack) -> None:
    """The POST starts late in the delivery's time; X takes it, and the redelivery does not repeat it."""
    stack.sandbox.inject({"latency_s": 1.0})
    first, second = event(), event()
    answers = await push_all(stack.url, [first, second])
    assert {answer.status for answer in answers} == {204}
    assert sorted(stack.accepted_ids()) == sorted([str(first["conversion_id"]), str(second["conversion_id"])])


async def test_dead_letters_keep_the_event_byte_for_byte(stack: Stack) -> None:
    raw = (
        b'\xef\xbb\xbf \n{"event_id" : "tw-o8z6j-o8z21",\t"email":"no-address",  "value": 1.10, "x":"\\u00e4\xc3\xa4"}'
    )
    message_id = new_id("m")
    answer = await push(
        stack.url, raw, attributes={"shop": "7", "goog_x": "reserved"}, message_id=message_id, attempt=4
    )
    assert answer.status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert dead_letter.data == raw
    attributes = dict(dead_letter.attributes)
    assert attributes.pop("xcapi_failed_at").endswith("Z")
    assert "identifiers" in attributes.pop("xcapi_error_message")
    assert attributes == {
        "shop": "7",
        "xcapi_reason": "invalid_event",
        "xcapi_error_parameter": "identifiers",
        "xcapi_message_id": message_id,
        "xcapi_event_index": "0",
        "xcapi_pixel_id": "o8z6j",
        "xcapi_publish_time": "2026-04-20T12:35:00.123Z",
        "xcapi_delivery_attempt": "4",
        "xcapi_version": __version__,
        "xcapi_attributes_dropped": "1",
    }


async def test_dead_letters_of_a_pack_are_its_elements_and_carry_xs_words(stack: Stack) -> None:
    bad = b'{ "event_id":"tw-o8z6j-nobody" , "conversion_id":"bad-one","email":"nobody@example.com"}'
    good = json.dumps(event()).encode()
    answer = await push(stack.url, b"[ " + good + b" , " + bad + b',"text"]')
    assert answer.status == 204
    by_reason = {dead_letter.attributes["xcapi_reason"]: dead_letter for dead_letter in stack.dead_letters(2)}
    rejected, invalid = by_reason["rejected"], by_reason["invalid_event"]
    assert rejected.data == bad
    assert rejected.attributes["xcapi_http_status"] == "404"
    assert rejected.attributes["xcapi_error_code"] == "NOT_FOUND"
    assert rejected.attributes["xcapi_error_parameter"] == "event_id"
    assert "is not a single event tag (SET)" in rejected.attributes["xcapi_error_message"]
    assert "does not belong to provided account" in rejected.attributes["xcapi_error_message"]
    assert rejected.attributes["xcapi_pixel_id"] == "o8z6j"
    assert rejected.attributes["xcapi_conversion_id"] == "bad-one"
    assert rejected.attributes["xcapi_event_index"] == "1"
    assert invalid.data == b'"text"'
    assert invalid.attributes["xcapi_event_index"] == "2"


async def test_a_replayed_dead_letter_keeps_its_conversion_id(stack: Stack) -> None:
    """Without an id of its own an event gets a derived one, which dead letter and replay hand on."""
    raw = json.dumps(event(conversion_id=None)).encode()
    stack.sandbox.inject({"status": 404, "message": "User 1 does not have access to account 2"})
    assert (await push(stack.url, raw)).status == 204
    stack.sandbox.clear_faults()
    (dead_letter,) = stack.dead_letters(1)
    derived = dead_letter.attributes["xcapi_conversion_id"]
    assert (await push(stack.url, dead_letter.data, attributes=dead_letter.attributes)).status == 204
    assert stack.accepted_ids() == [derived]


async def test_dead_letters_keep_to_pubsubs_limits(stack: Stack) -> None:
    """100 attributes of the longest kind come in; ours win, what does not fit is dropped and counted."""
    attributes = {f"k{n:03}" + "x" * 252: "v" * 1024 for n in range(100)}
    assert (await push(stack.url, b"no json", attributes=attributes)).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert len(dead_letter.attributes) <= 100
    kept = [name for name in dead_letter.attributes if name.startswith("k")]
    assert int(dead_letter.attributes["xcapi_attributes_dropped"]) + len(kept) == 100
    assert dead_letter.attributes["xcapi_reason"] == "invalid_message"


async def test_a_delivery_whose_dead_letter_cannot_be_published_is_nacked_and_sent_once(hasty: Stack) -> None:
    good = event()
    body = envelope([good, "junk"], message_id=new_id("m"))
    hasty.pubsub.set_down(down=True)
    answer = await post(hasty.url, body)
    assert (answer.status, answer.reason) == (503, "dead_letters_unavailable")
    hasty.pubsub.set_down(down=False)
    assert (await post(hasty.url, body)).status == 204
    assert hasty.accepted_ids() == [good["conversion_id"]]
    assert len(hasty.dead_letters(1)) == 1


async def test_dead_letters_given_up_during_an_outage_are_not_published_twice(hasty: Stack) -> None:
    """More deliveries than the publisher has threads: what waited behind the outage must not go out later."""
    bodies = [envelope(["junk"], message_id=new_id("m")) for _ in range(12)]
    hasty.pubsub.set_down(down=True)
    answers = await asyncio.gather(*(post(hasty.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {503}
    await asyncio.sleep(1)  # a last attempt may be on its way, and may succeed: that is Pub/Sub's "at least once"
    hasty.pubsub.set_down(down=False)
    answers = await asyncio.gather(*(post(hasty.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {204}
    await asyncio.sleep(1.0)
    ids = [dead_letter.attributes["xcapi_message_id"] for dead_letter in hasty.dead_letters(len(bodies))]
    assert len(ids) == len(set(ids)) == len(bodies)


async def test_unconfirmed_conversions_are_not_sent_again_even_when_their_dead_letters_waited(hasty: Stack) -> None:
    """X may have counted them: a redelivery publishes the dead letter and leaves X alone."""
    hasty.sandbox.inject({"processed": 7, "times": 1})
    body = envelope(event(), message_id=new_id("m"))
    hasty.pubsub.set_down(down=True)
    assert (await post(hasty.url, body)).status == 503
    await asyncio.sleep(1)  # a last attempt may be on its way, and may succeed: that is Pub/Sub's "at least once"
    hasty.pubsub.set_down(down=False)
    assert (await post(hasty.url, body)).status == 204
    assert len(hasty.sandbox.requests()) == 1
    (dead_letter,) = hasty.dead_letters(1)
    assert dead_letter.attributes["xcapi_reason"] == "unconfirmed"
    assert dead_letter.attributes["xcapi_http_status"] == "200"


async def test_an_unconfirmed_dead_letter_can_be_replayed_on_purpose(stack: Stack) -> None:
    stack.sandbox.inject({"processed": 0, "times": 1})
    assert (await push(stack.url, event())).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert dead_letter.attributes["xcapi_reason"] == "unconfirmed"
    assert (await push(stack.url, dead_letter.data, attributes=dead_letter.attributes)).status == 204
    assert len(stack.sandbox.requests()) == 2


async def test_events_without_consent_are_skipped_before_anything_else(stack: Stack) -> None:
    no = [
        {"consent": False},
        event(opt_out=True),
        event(consent={"ad_user_data": "DENIED", "ad_storage": "granted"}),
        event(event_id=5, gpc="1"),
        {"us_privacy": "1YYN", "pixel_id": ["wrong"]},
    ]
    assert (await push(stack.url, no)).status == 204
    assert stack.sandbox.requests() == []
    assert stack.dead_letters() == []
    wait_for(lambda: any(entry.get("skipped_no_consent") == 5 for entry in stack.events_logged("delivery.settled")))


async def test_every_line_of_output_is_json_with_severity_and_message(whole: Stack) -> None:
    for line in whole.function.lines:
        entry = json.loads(line)
        assert entry["severity"] in {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"}
        assert entry["message"]
    assert not [line for line in whole.function.lines if "crashed" in line]
