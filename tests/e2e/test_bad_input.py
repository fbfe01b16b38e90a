"""Bad input of every kind: a dead letter or a 400, never a 500, never a stuck delivery."""

import asyncio
import base64
import json
import random
from collections.abc import Iterator

import pytest

from tests.e2e.push import SUBSCRIPTION, envelope, event, new_id, post, push, push_all, request
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

_SETTLED_OR_REFUSED = {204, 400}


@pytest.fixture(scope="module")
def whole(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(
        function_venv,
        default_currency="USD",
        default_phone_region="DE",
        max_event_age_hours=87_600,
        request_timeout_s=20,
        settle_timeout_s=90,
    ) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    whole.start_over()
    lines = len(whole.function.lines)
    yield whole
    # Whatever came, nothing crashed, and the process still works.
    assert not [line for line in whole.function.lines[lines:] if "crashed" in line or "Traceback" in line]


async def _still_works(stack: Stack) -> None:
    good = event()
    assert (await push(stack.url, good)).status == 204
    assert good["conversion_id"] in stack.accepted_ids()


# Each is what stands in JSON text in a field's place.
NASTY = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999999",
    "-0.0",
    "1.7976931348623157e+308",
    "123456789012345678901234567890",
    '""',
    '" "',
    r'"\u0000"',
    r'"\ud800"',
    r'"\ud83d\ude00 \u202e"',
    '"' + "x" * 20_000 + '"',
    "[]",
    "{}",
    '[null,[[]],{"a":[{}]}]',
    '{"value":{"value":{"value":1}}}',
    '[{"twclid":1},"x",3]',
    '"2026-02-30T25:61:61Z"',
    '"%7B%22twclid%22%3A%5B%5D%7D"',
    '"NaN"',
)

FIELDS = (
    "event_id",
    "event",
    "event_name",
    "conversion_id",
    "transaction_id",
    "order_id",
    "conversion_time",
    "time",
    "timestamp",
    "pixel_id",
    "value",
    "conversion_value",
    "value_micros",
    "currency",
    "price_currency",
    "conversion_currency",
    "number_items",
    "number_item",
    "contents",
    "items",
    "products",
    "content_ids",
    "content_type",
    "description",
    "event_source_url",
    "search_string",
    "identifiers",
    "user",
    "email",
    "phone",
    "twclid",
    "ip_address",
    "user_agent",
    "hashed_email",
    "hashed_phone_number",
    "consent",
    "consent_state",
    "ad_storage",
    "ad_user_data",
    "opt_out",
    "limit_ad_tracking",
    "gpc",
    "gcs",
    "gcd",
    "privacy_info",
    "us_privacy",
    "context",
    "consentManagement",
)
NESTED = (
    ("user", "email"),
    ("user", "phone"),
    ("user", "twclid"),
    ("user", "ip_address"),
    ("user", "user_agent"),
    ("user", "consent"),
    ("contents", "content_price"),
    ("contents", "num_items"),
    ("contents", "content_id"),
    ("items", "quantity"),
    ("items", "price"),
    ("identifiers", "hashed_email"),
    ("identifiers", "twclid"),
    ("identifiers", "ip_address"),
    ("context", "consent"),
    ("consent", "ad_storage"),
    ("privacy_info", "ads_storage"),
)


def _with(field: str, nasty: str) -> bytes:
    """Replace a field of a good event by JSON text."""
    whole = json.dumps(event(**{field: None}, **({"email": "nobody@example.com"} if field != "email" else {})))
    return f'{whole[:-1]}, "{field}": {nasty}}}'.encode()


def _nested(outer: str, inner: str, nasty: str) -> bytes:
    inside = f'{{"{inner}": {nasty}}}'
    return _with(outer, f"[{inside}, {inside}]" if outer in {"contents", "items", "identifiers"} else inside)


# What a summary counts besides where events ended: values left out, and what consent could not be read from.
_NO_ENDS = ("dropped_", "http_status", "unreadable_consent", "consent_categories_missing", "oldest_event_age_s")


async def _account(stack: Stack, events: list[bytes]) -> dict[str, int]:
    """Push events in packs; everything must end somewhere: delivered, skipped or dead-lettered."""
    packs = [events[start : start + 60] for start in range(0, len(events), 60)]
    lines = len(stack.function.lines)
    answers = await push_all(stack.url, [b"[" + b",".join(pack) + b"]" for pack in packs], at_once=8)
    assert {answer.status for answer in answers} == {204}
    totals: dict[str, int] = {}
    for entry in stack.events_logged("delivery.settled", lines, count=len(packs)):
        for name, count in entry.items():
            if isinstance(count, int) and not name.startswith(_NO_ENDS):
                totals[name] = totals.get(name, 0) + count
    assert sum(totals.values()) == len(events)
    return totals


async def test_every_field_survives_every_nasty_value(stack: Stack) -> None:
    events = [_with(field, nasty) for field in FIELDS for nasty in NASTY]
    events += [_nested(outer, inner, nasty) for outer, inner in NESTED for nasty in NASTY]
    totals = await _account(stack, events)
    # None of what the reader lets through is something that the strict sandbox refuses for its form; only tags that
    # X alone can judge, and which pass as text, come back.
    refused = stack.sandbox.refused()
    assert {error["parameter"] for record in refused for error in record["errors"]} <= {"event_id"}
    dead_letters = stack.dead_letters(totals.get("invalid_event", 0) + totals.get("rejected", 0))
    assert len(dead_letters) == totals["invalid_event"] + totals["rejected"]
    sent = set(events)
    assert all(dead_letter.data in sent for dead_letter in dead_letters)
    assert totals["delivered"] > len(events) // 3
    assert totals["skipped_no_consent"] > 50


@pytest.mark.parametrize("nasty", NASTY)
async def test_every_field_of_the_envelope_survives_nasty_values(stack: Stack, nasty: str) -> None:
    good = json.dumps(envelope(event()))
    places = ("data", "attributes", "messageId", "message_id", "publishTime", "publish_time", "orderingKey")
    bodies = [good.replace('{"data"', f'{{"{place}": {nasty}, "data"', 1) for place in places[1:]]
    bodies += [
        f'{{"message": {nasty}, "subscription": "{SUBSCRIPTION}"}}',
        f'{{"message": {{"data": {nasty}, "messageId": "{new_id("m")}"}}}}',
        f'{{"message": {{"attributes": {{"k": {nasty}}}, "messageId": "{new_id("m")}"}}}}',
        f'{{"message": {{"attributes": {{"pixel_id": {nasty}}}, "data": "e30=", "messageId": "{new_id("m")}"}}}}',
        f'{{"message": {{"attributes": {{"format": {nasty}}}, "data": "e30=", "messageId": "{new_id("m")}"}}}}',
        good[:-1] + f', "subscription": {nasty}}}',
        good[:-1] + f', "deliveryAttempt": {nasty}}}',
        good[:-1] + f', "delivery_attempt": {nasty}, "unknown": {nasty}}}',
        nasty,
        f'{{"data": {nasty}, "specversion": "1.0"}}',
    ]
    answers = await asyncio.gather(*(post(stack.url, body.encode()) for body in bodies))
    answers += await asyncio.gather(
        *(post(stack.url, body.encode(), {"Content-Type": "application/cloudevents+json"}) for body in bodies)
    )
    assert {answer.status for answer in answers} <= _SETTLED_OR_REFUSED
    assert all(b"xxx" not in answer.body for answer in answers)
    assert all(len(answer.body) < 300 for answer in answers)


DATA = {
    "nothing": b"",
    "spaces": b" \n",
    "text": b"hello",
    "html": b"<html><body>502</body></html>",
    "half an object": b'{"event_id": "tw-o8z6j-o8z21", "email": "a@b.example"',
    "half an array": b'[{"event_id": "tw-o8z6j-o8z21"}, {"ev',
    "two objects": b'{"a": 1}{"b": 2}',
    "json lines": b'{"a": 1}\n{"b": 2}\n',
    "a number": b"17",
    "a text": b'"text"',
    "nan": b"NaN",
    "infinity in an object": b'{"value": Infinity}',
    "not utf-8": b'{"email": "\xff\xfe\xfa"}',
    "utf-16": '{"event_id": "x"}'.encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "nuls": b"\x00" * 1000,
    "open brackets": b"[" * 200_000,
    "open braces": b'{"a":' * 200_000,
    "deep but balanced": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "quotes": b'"' * 100_001,
    "a quote in brackets": b'["',
    "backslashes": b'["' + b"\\" * 100_001,
    "a million digits": b'{"value": ' + b"9" * 1_000_000 + b"}",
    "a million decimals": b'{"value": 0.' + b"9" * 1_000_000 + b"}",
    "a huge exponent": b'{"value": 1e' + b"9" * 100_000 + b"}",
    "commas": b"[" + b"," * 300_000 + b"]",
    "both arrays": b'{"events": [], "conversions": []}',
    "events that are no list": b'{"events": {"a": 1}}',
    "bom": b"\xef\xbb\xbf",
}


@pytest.mark.parametrize("name", DATA)
async def test_data_that_holds_no_event_is_one_dead_letter(stack: Stack, name: str) -> None:
    answer = await push(stack.url, DATA[name], attributes={"source": "test"})
    assert answer.status == 204
    dead_letters = stack.dead_letters(1)
    (dead_letter,) = dead_letters
    assert dead_letter.attributes["xcapi_reason"] in {"invalid_message", "invalid_event"}
    # An array's one element is a dead letter of its own, without the array's brackets.
    assert dead_letter.data in {DATA[name], DATA[name][1:-1]}
    assert stack.sandbox.requests() == []


async def test_a_key_that_comes_twice_is_read_once(stack: Stack) -> None:
    good = json.dumps(event()).encode()
    assert (await push(stack.url, b'{"event_id":"x","email":1,' + good[1:])).status == 204
    assert len(stack.accepted_ids()) == 1
    body = json.dumps(envelope(event())).encode()
    twice = body.replace(b'{"message"', b'{"message": 5, "message"', 1)
    assert (await post(stack.url, twice)).status in _SETTLED_OR_REFUSED


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "an array": b"[]",
    "a batch of CloudEvents": json.dumps([envelope(event())]).encode(),
    "an empty object": b"{}",
    "a null message": b'{"message": null}',
    "base64 that is none": b'{"message": {"data": "%%%"}}',
    "base64 of odd length": b'{"message": {"data": "abcde"}}',
    "data that is no text": b'{"message": {"data": {"event_id": 1}}}',
    "not utf-8": b'{"message": {"data": "\xff"}}',
    "brackets": b"[" * 500_000,
    "deep message": b'{"message":' * 100_000 + b"1" + b"}" * 100_000,
    "a million digits": b'{"message": ' + b"9" * 1_000_000 + b"}",
    "nan": b'{"message": NaN}',
    "an event without an envelope": json.dumps(event()).encode(),
    "form data": b"message=1&data=2",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("content_type", ["application/json", "application/cloudevents+json"])
async def test_what_is_no_delivery_is_400(stack: Stack, name: str, content_type: str) -> None:
    answer = await post(stack.url, BODIES[name], {"Content-Type": content_type})
    assert answer.status == 400
    assert set(answer.json) == {"reason"}  # type: ignore[call-overload]  # a JSON object


async def test_bodies_larger_than_any_delivery_are_refused_unread(stack: Stack) -> None:
    answer = await request(stack.url, "POST", b"x" * (17 << 20))
    assert answer.status in {400, 0}  # 0: the answer came before the body was taken, and the connection went
    await _still_works(stack)


async def test_message_of_10_mb_with_20_000_events_is_judged_one_by_one(stack: Stack) -> None:
    """500 kinds of rubbish between 18,500 good events: the good are delivered, each bad one has its dead letter."""
    chance = random.Random(7)
    kinds = [_with(field, nasty) for field in FIELDS for nasty in NASTY if len(nasty) < 100]
    kinds = [kind for kind in chance.sample(kinds, 470) if b'"consent' not in kind]
    syntax = [
        b"nonsense",
        b"{]"[:1] + b"}" + b"x",
        b"{'single': 1}",
        b"NaN",
        b"-Infinity",
        b"01",
        b"+1",
        b"tru",
        b'{"a" 1}',
        b'{"a":1,}',
        b"[1,]",
        b'"\\x"',
        b'"\x01"',
        b'{"a":"\xff"}',
        b"{}",
        b"[]",
        b"[[[[[[]]]]]]",
        b"1e99999999",
        b"/* comment */",
        b"undefined",
        b"[" * 5000 + b"]" * 5000,
        b"9" * 20_000,
    ]
    pieces = kinds + syntax
    good = [event(description="x" * 300) for _ in range(20_000 - 3 * len(pieces))]
    parts = [json.dumps(one).encode() for one in good] + 3 * pieces
    chance.shuffle(parts)
    data = b"[" + b",\n".join(parts) + b"]"
    assert 8_000_000 < len(data) < 10_000_000
    lines = len(stack.function.lines)
    answer = await push(stack.url, data)
    assert answer.status == 204
    accepted = stack.accepted_ids()
    assert set(accepted) >= {one["conversion_id"] for one in good}
    assert len(accepted) == len(set(accepted))
    (entry,) = stack.events_logged("delivery.settled", lines)
    ends = {name: n for name, n in entry.items() if isinstance(n, int) and not name.startswith(_NO_ENDS)}
    assert sum(ends.values()) == len(parts)
    due = sum(ends.get(name, 0) for name in ("invalid_event", "rejected"))
    dead_letters = stack.dead_letters(1)
    counted = sum(int(dead_letter.attributes.get("xcapi_event_count", "1")) for dead_letter in dead_letters)
    assert counted == due
    await _still_works(stack)


async def test_more_than_1000_refused_events_share_dead_letters(stack: Stack) -> None:
    bad = [json.dumps({"n": n, "é": "ü"}, ensure_ascii=bool(n % 2)).encode() for n in range(2500)]
    message_id = new_id("m")
    assert (await push(stack.url, b"[" + b",".join(bad) + b"]", message_id=message_id)).status == 204
    dead_letters = stack.dead_letters(1)
    assert len(dead_letters) == 1
    (dead_letter,) = dead_letters
    assert dead_letter.data == b"[" + b",".join(bad) + b"]"
    assert dead_letter.attributes["xcapi_event_count"] == "2500"
    assert dead_letter.attributes["xcapi_reason"] == "invalid_event"
    assert dead_letter.attributes["xcapi_message_id"] == message_id
    assert "xcapi_event_index" not in dead_letter.attributes


async def test_a_bad_message_of_full_size_has_its_dead_letter(stack: Stack) -> None:
    data = b"x" * 9_990_000
    assert (await push(stack.url, data, attributes={"k" * 256: "v" * 1024})).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert len(dead_letter.data) == len(data)


async def test_a_bad_event_of_full_size_among_good_ones_has_its_dead_letter(stack: Stack) -> None:
    good = event()
    big = {"junk": "y" * 9_500_000}
    assert (await push(stack.url, [big, good])).status == 204
    (dead_letter,) = stack.dead_letters(1)
    assert json.loads(dead_letter.data) == big
    assert stack.accepted_ids() == [good["conversion_id"]]


async def test_base64_in_odd_forms_is_no_crash(stack: Stack) -> None:
    good = json.dumps(event()).encode() + b"   "
    encoded = base64.b64encode(good).decode()
    forms = [
        encoded.rstrip("="),
        encoded + "====",
        encoded[:9] + "\n" + encoded[9:],
        base64.urlsafe_b64encode(b"\xff\xfe" * 9).decode(),
    ]
    for form in forms:
        answer = await post(stack.url, {"message": {"data": form}})
        assert answer.status in _SETTLED_OR_REFUSED
