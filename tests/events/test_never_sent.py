"""What never reaches X, whatever else an event says: somebody who refused, and an id that says nothing."""

import gzip
import hashlib
import json
import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.refusals import REFUSING_EVENTS
from tests.events.samples import SHAPES
from tests.events.serialised import BODIES, in_unions
from tests.fakes import delivery
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import Unreadable
from xcapi_core.outcomes import Skipped, SkipReason
from xcapi_core.settings import PixelSettings, Settings

_SETTINGS: Final = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={
        "o8z6j": PixelSettings(
            pixel_id="o8z6j",
            credentials="env:KEYS",
            event_ids={"purchase": "tw-o8z6j-o8z21"},
            consent_categories=("Advertising",),
        )
    },
)
_NOW: Final = datetime(2026, 4, 20, 12, tzinfo=UTC)
_ARRAYS: Final = {"x": "events", "ga4": "events", "segment": "batch"}
_SALES: Final[dict[str, dict[str, Any]]] = {
    "x": {"event": "purchase", "order_id": "A1", "email": "jane@example.com"},
    "ga4": {"event_name": "purchase", "client_id": "1.2", "transaction_id": "A1", "email": "jane@example.com"},
    "segment": {"type": "track", "event": "Order Completed", "messageId": "m", "email": "jane@example.com"},
}


def _read(
    data: bytes,
    attributes: Mapping[str, str] | None = None,
    *,
    settings: Settings = _SETTINGS,
    publish_time: str = "",
) -> list[ReadEvent]:
    message = delivery(data, attributes, publish_time=publish_time)
    readings = list(read_events(message, settings, received_at=_NOW, settled=()))
    events = [reading for reading in readings if isinstance(reading, ReadEvent)]
    assert events
    assert len(events) == len(readings)
    return events


@given(
    refusing=REFUSING_EVENTS,
    format_=st.sampled_from(sorted(_SALES)),
    body=st.sampled_from(sorted(BODIES)),
    in_avro=st.booleans(),
    data=st.data(),
)
@settings(max_examples=250)
def test_event_with_a_refusal_is_never_sent_or_kept(
    refusing: dict[str, Any],
    format_: str,
    body: str,
    in_avro: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    sale = {**refusing, **{name: value for name, value in _SALES[format_].items() if name not in refusing}}
    attributes = {"format": format_} | ({"googclient_schemaencoding": "JSON"} if in_avro else {})
    written = BODIES[body](in_unions(sale, data.draw) if in_avro else sale, _ARRAYS[format_])
    for read in _read(written, attributes):
        # An empty object beside the refusal, in an array of events, is an event that says nothing.
        is_refused = isinstance(read.result, Skipped) and read.result.reason is SkipReason.NO_CONSENT
        assert is_refused or read.event_bytes in (b"[]", b"{}"), written


# One name twice in an object, which JSON allows and decoders answer with the last value (RFC 8259, section 4).
_SAID_TWICE: Final = (
    '"consent": false, "consent": true',
    '"consent": false, "consent": null',
    '"consent": {"ad_storage": "denied"}, "consent": {"ad_storage": "granted"}',
    '"consent": {"ad_storage": "denied", "ad_storage": "granted"}',
    '"consent": "{\\"ad_storage\\": \\"denied\\", \\"ad_storage\\": \\"granted\\"}"',
    '"opt_out": true, "opt_out": false',
    '"opt_out": true, "opt\\u005fout": false',
    # An escaped colon in a text is none of a name's.
    '"consent": false, "note": "\\u003a", "consent": true',
    '"consent": false, "note": "\\u003A", "consent": true',
    '"user": {"opt_out": true, "note": "\\u003a", "opt_out": false}',
    '"opt_out": {"boolean": true}, "opt_out": {"boolean": false}',
    '"opt_out": {"boolean": true, "boolean": false}',
    '"event_params": [{"key": "ad_storage", "value": {"string_value": "no"}, "value": {"string_value": "yes"}}]',
    '"event_params": [{"Key": "ad_storage", "Value": {"string_value": "denied", "string_value": "granted"}}]',
    '"event_params": [{"key": "ad_storage", "key": "x", "value": {"string_value": "denied"}}]',
    '"event_params": [{"key": "ad_storage", "value": "denied", "key": "x", "value": "y"}]',
    '"event_params": [{"key": "x", "value": 1}, {"Key": "Ad-Storage", "Value": "denied", "Key": "x"}]',
    '"event_params": [{"key": "ad_storage", "value": "denied", "key": "x"}], "user": "[{\\"key\\": 1}]"',
    '"user": "[{\\"key\\": \\"ad_storage\\", \\"value\\": \\"denied\\", \\"key\\": \\"x\\"}]"',
    '"ad_storage": 0, "ad_storage": 1',
    '"gcs": {"string_value": "G100", "string_value": null}',
    '"event_params": [{"key": "gcd", "value": {"string_value": "13p3l3l3l1", "string_value": "11l1l1l1l1"}}]',
    '"gcs": "G100", "gcs": "G111"',
    '"user": {"opt_out": true}, "user": {"opt_out": false}',
    '"user": {"opt_out": true}, "user": {}',
    '"user": {"opt_out": true, "opt_out": false}',
    '"user": {"opt_out": false, "opt_out": true}, "user": {}',
    '"user": "{\\"opt_out\\": true, \\"opt_out\\": false}"',
    '"context": {"consent": {"categoryPreferences": {"Advertising": false, "Advertising": true}}}',
    '"context": {"device": {"adTrackingEnabled": false, "adTrackingEnabled": true}}',
)


@pytest.mark.parametrize("said", _SAID_TWICE)
@pytest.mark.parametrize("format_", sorted(_SALES))
def test_refusal_whose_name_comes_again_is_never_sent_or_kept(format_: str, said: str) -> None:
    sale = json.dumps(_SALES[format_])
    array = _ARRAYS[format_]
    event = f"{{{said}, {sale[1:]}"
    bodies = [event, f"[{event}]", f"[{json.dumps(event)}]", json.dumps(event), f'{{"{array}": [{event}, {event}]}}']
    around = [f'{{{said}, "{array}": [{sale}, {sale}]}}', f'{{"{array}": [{sale}], {said}}}']
    cloud_event = '{"specversion": "1.0", "type": "sale", "source": "//shop.example", %s"data": %s}'
    packed = [gzip.compress(event.encode(), mtime=0), (cloud_event % ("", event)).encode()]
    for data in [*(text.encode() for text in bodies + around), *packed, (cloud_event % (f"{said}, ", sale)).encode()]:
        for reading in _read(data, {"format": format_}):
            assert isinstance(reading.result, Skipped), data
            assert reading.result.reason is SkipReason.NO_CONSENT


# The same where Avro's JSON encoding names the type of a value: it may be the name that comes again.
_SAID_TWICE_IN_UNIONS: Final = (
    '"opt_out": {"boolean": true, "boolean": false}',
    '"user": {"com.example.User": {"opt_out": true}, "com.example.User": {"opt_out": false}}',
    '"user": {"com.example.User": {"opt_out": {"boolean": true}, "opt_out": null}}',
    '"user": {"string": "{\\"opt_out\\": true, \\"opt_out\\": false}"}',
    '"user": {"map": {"consent.ad_storage": "denied"}}',
    '"user": {"map": {"consent.ad_storage": {"string": "denied"}}}',
    '"consent": {"com.example.opt_out": true}',
)


@pytest.mark.parametrize("said", _SAID_TWICE_IN_UNIONS)
@pytest.mark.parametrize("format_", sorted(_SALES))
def test_refusal_in_a_union_is_heard_whatever_it_is_called(format_: str, said: str) -> None:
    sale, array = json.dumps(_SALES[format_]), _ARRAYS[format_]
    event = f"{{{said}, {sale[1:]}"
    unions = f'{{"com.example.Sale": {event}, "com.example.Sale": {sale}}}'
    around = f'{{{said}, "{array}": {{"array": [{sale}]}}}}'
    for data in (event, f"[{event}]", f'{{"{array}": [{event}]}}', unions, f"[{unions}]", around):
        (read,) = _read(data.encode(), {"format": format_, "googclient_schemaencoding": "JSON"})
        assert isinstance(read.result, Skipped), data


@pytest.mark.parametrize("consent", ["Consent", "ConsentState", "consent", "Answer"])
@pytest.mark.parametrize("said", ['{"ad_storage": {"com.example.ad_storage": "granted"}}', '"granted"'])
def test_grant_whose_type_is_called_like_a_signal_is_heard(consent: str, said: str) -> None:
    if (consent, said) == ("ConsentState", '"granted"'):
        return  # {"consent.opt_out": 1} looks like that
    event = f'{{"consent": {{"com.example.{consent}": {said}}}, {json.dumps(_SALES["x"])[1:]}'
    settings = msgspec.structs.replace(_SETTINGS, consent="require")
    (read,) = _read(event.encode(), {"googclient_schemaencoding": "JSON"}, settings=settings)
    assert isinstance(read.result, Conversion)


@pytest.mark.parametrize(
    "body",
    [
        '{"events": [{event}], "conversions": [{sale}]}',
        '{"events": [{sale}], "conversions": {"0": "[{event}]"}}',
        '{"events": [{event}], "events": []}',
        '{"events": [{sale}, {event}], "conversions": []}',
        '{"specversion": "1.0", "type": "t", "source": "s", "data": {"events": [{event}], "conversions": []}}',
        '{"specversion": "1", "type": "t", "source": "s", "user": {event}, "data": {"events": [], "conversions": []}}',
    ],
)
@pytest.mark.parametrize("refusal", [{"opt_out": True}, {"user": {"consent": "denied"}}])
def test_body_of_two_arrays_with_a_refusal_in_them_is_not_kept(body: str, refusal: dict[str, Any]) -> None:
    sale = _SALES["x"]
    for event in (sale | refusal, sale):
        text = json.dumps(event)
        data = body.replace("{event}", text if '"[' not in body else text.replace('"', '\\"'))
        data = data.replace("{sale}", json.dumps(sale))
        (read,) = _read(data.encode())
        assert isinstance(read.result, Unreadable if event is sale else Skipped)


@pytest.mark.parametrize(
    "harmless", ['"email": "a@example.com", "email": "jane@example.com"', '"consent": 1, "consent": true']
)
def test_names_that_come_again_and_refuse_nothing_sink_no_sale(harmless: str) -> None:
    event = f'{{"event": "purchase", "order_id": "A1", {harmless}, "user": {{}}, "user": {{"phone": "+31612345678"}}}}'
    (read,) = _read(event.encode())
    assert isinstance(read.result, Conversion)


_LATER: Final = st.sampled_from([None, {}, [], True, 1, "granted", "x", {"ad_storage": "granted"}, [{"key": "x"}]])


def _with_names_again(value: Any, data: st.DataObject) -> str:
    """Write JSON in which some names come again, later in their object, with another value."""
    if isinstance(value, list):
        return f"[{', '.join(_with_names_again(item, data) for item in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    members = [f"{json.dumps(name)}: {_with_names_again(item, data)}" for name, item in value.items()]
    again = data.draw(st.lists(st.sampled_from(sorted(value)), max_size=2)) if value else []
    members += [f"{json.dumps(name)}: {json.dumps(data.draw(_LATER))}" for name in again]
    return f"{{{', '.join(members)}}}"


@given(refusing=REFUSING_EVENTS, format_=st.sampled_from(sorted(_SALES)), data=st.data())
def test_refusal_that_any_names_come_again_after_is_never_sent(
    refusing: dict[str, Any], format_: str, data: st.DataObject
) -> None:
    sale = {**refusing, **{name: value for name, value in _SALES[format_].items() if name not in refusing}}
    bodies: list[Any] = [sale, [sale], {"events": [sale]}, {"conversions": [sale, sale]}]
    for body in (*bodies, {"specversion": "1.0", "type": "sale", "source": "//shop.example", "data": sale}):
        written = _with_names_again(body, data).encode()
        for read in _read(written, {"format": format_}):
            assert not isinstance(read.result, Conversion), written


@pytest.mark.parametrize("said", ['"cons\\u0065nt": "denied"', f'"{"_" * 70}consent": false', "consent: false"])
@pytest.mark.parametrize("format_", sorted(_SALES))
def test_refusal_beside_an_element_that_is_no_json_holds_for_all(format_: str, said: str) -> None:
    body = f'{{{said}, "{_ARRAYS[format_]}": [{json.dumps(_SALES[format_])}, undefined]}}'
    assert not any(isinstance(read.result, Conversion) for read in _read(body.encode(), {"format": format_}))


def test_refusal_in_what_cannot_be_decoded_around_events_holds_for_all() -> None:
    around = b'{"context": {"ip": 1, "consent": {"\xffd_storage": "denied"}}, "batch": [%b]}'
    data = around % json.dumps(_SALES["segment"]).encode()
    (read,) = _read(data, {"format": "segment"})
    assert read.result == Skipped(SkipReason.NO_CONSENT, ("unreadable_consent",))


@pytest.mark.parametrize(
    "twice",
    [
        '"data_base64": "W10=", "data": {sale}',
        '"data": {sale}, "data_base64": "W10="',
        '"data_base64": "W10=", "data_base64": "{base64}"',
    ],
)
def test_of_a_cloud_event_that_has_data_twice_neither_is_sent(twice: str) -> None:
    sale = json.dumps(_SALES["x"])
    data = twice.replace("{sale}", sale).replace("{base64}", b64encode(sale.encode()).decode())
    body = f'{{"specversion": "1.0", "type": "sale", "source": "//shop.example", {data}}}'
    (read,) = _read(body.encode())
    assert isinstance(read.result, Unreadable)


def test_grant_that_is_only_supposed_counts_for_nothing() -> None:
    settings = msgspec.structs.replace(_SETTINGS, consent="require")
    for supposed in ({"consent": {"ad_personalization": 1, "asked": {"ad_storage": 1}}}, {"consent.ad_storage": 1}):
        data = json.dumps(_SALES["x"] | supposed).encode()
        (read,) = _read(data, settings=settings)
        assert read.result == Skipped(SkipReason.NO_CONSENT)


@given(refusing=REFUSING_EVENTS, format_=st.sampled_from(sorted(_SALES)))
def test_refusal_around_events_holds_for_all_of_them(refusing: dict[str, Any], format_: str) -> None:
    around = {name: value for name, value in refusing.items() if name not in {"events", "batch", "conversions"}}
    if around == refusing:
        body = {**around, _ARRAYS[format_]: [_SALES[format_]] * 2}
        for read in _read(json.dumps(body).encode(), {"format": format_}):
            assert not isinstance(read.result, Conversion)
            assert isinstance(read.result, Skipped)


_WORDS: Final = st.sampled_from(
    [
        *(
            "None",
            "null",
            "NULL",
            "nil",
            "NaN",
            "N/A",
            "undefined",
            "Undefined",
            "(not set)",
            "not set",
            "(other)",
            "0",
        ),
        *(
            "false",
            "unknown",
            "(data not available)",
            "<null>",
            "Optional(nil)",
            "[object Object]",
            "{}",
            "[]",
            '""',
            "-",
        ),
    ]
)
_INVISIBLE: Final = st.sampled_from(["", "\u200b", "\u200e", "\ufeff", "\u00ad", "\x00", "\u2066", "\t"])
_JOINED: Final = st.lists(_WORDS, min_size=1, max_size=3).flatmap(
    lambda words: st.sampled_from([",", "_", "-", " ", ", "]).map(lambda joint: joint.join(words))
)
_NAMES: Final = st.from_regex(r"[A-Za-z][A-Za-z_]{0,9}", fullmatch=True)
_LEFTOVERS: Final = st.one_of(
    st.tuples(st.text("AB1-", max_size=3), _NAMES, st.text("AB1-", max_size=3)).map(
        lambda parts: f"{parts[0]}{{{{{parts[1]}}}}}{parts[2]}"
    ),
    st.tuples(st.text("AB1-", max_size=3), _NAMES).map(lambda parts: f"{parts[0]}${{{parts[1]}}}"),
    st.tuples(_NAMES, st.sampled_from(["%{}%", "%%{}%%", "__{}__", "[{}]", "<{}>"])).map(
        lambda parts: parts[1].format(parts[0])
    ),
    _NAMES.map(lambda name: f"{{{name}}}"),
)
_SAYS_NOTHING: Final = st.tuples(_INVISIBLE, _JOINED | _LEFTOVERS | st.just(""), _INVISIBLE).map("".join)


@given(nothing=_SAYS_NOTHING)
def test_id_that_says_nothing_never_reaches_the_wire(nothing: str) -> None:
    goods = [{"item_id": nothing, "product_id": nothing, "name": "Boots"}]
    events: dict[str, dict[str, Any]] = {
        "x": {"event": "purchase", "twclid": nothing, "order_id": nothing, "items": goods},
        "ga4": {
            "event_name": "purchase",
            "client_id": "1",
            "twclid": nothing,
            "transaction_id": nothing,
            "items": goods,
        },
        "segment": {
            "type": "track",
            "event": "Order Completed",
            "messageId": nothing,
            "properties": {"order_id": nothing, "twclid": nothing, "products": goods},
        },
    }
    for format_, event in events.items():
        (read,) = _read(json.dumps({**event, "email": "jane@example.com"}).encode(), {"format": format_})
        assert isinstance(read.result, Conversion)
        sent = msgspec.json.decode(read.result.wire)
        assert read.result.conversion_id.startswith("xcapi-")
        assert [list(identifier) for identifier in sent["identifiers"]] == [["hashed_email"]]
        assert sent["contents"] == [{"content_name": "Boots"}]


# X's own names, which every dialect reads, for what its sample has no name of.
_EXTRAS: Final[dict[str, Any]] = {
    "conversion_id": "C7",
    "price_currency": "EUR",
    "contents": [{"content_id": "SKU-7", "content_group_id": "G7", "content_name": "Boots"}],
    "event_source_url": "https://shop.example/thanks",
    "hashed_email": "a" * 64,
    "hashed_phone_number": "b" * 64,
    "phone": "+31612345678",
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "ip_address": "203.0.113.8",
}
# Without these there is no conversion that anything could be in.
_KEPT: Final = frozenset({"event", "event_name", "type", "key", "time", "timestamp"})


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list) or not value:
        return [path] if value is not None else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    # Google's times, in microseconds, are numbers or text of digits.
    return [
        leaf
        for name, inner in items
        if name not in _KEPT and str(inner) != "1776688496123000"
        for leaf in _leaves(inner, (*path, name))
    ]


def _visible(text: str) -> str:
    return "".join(character for character in text if unicodedata.category(character) not in {"Cc", "Cf"}).strip()


@given(shape=st.sampled_from(sorted(SHAPES)), nothing=_SAYS_NOTHING, has_extras=st.booleans(), data=st.data())
@settings(max_examples=200)
def test_nothing_in_place_of_any_value_never_reaches_the_wire(
    shape: str,
    nothing: str,
    has_extras: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    format_, make = SHAPES[shape]
    event = json.loads(json.dumps(make(7) | (_EXTRAS if has_extras else {})))
    leaves = [leaf for leaf in _leaves(event) if leaf != ("events", 0, "name")]
    for *path, name in data.draw(st.lists(st.sampled_from(leaves), min_size=1, unique=True)):
        within = event
        for step in path:
            within = within[step]
        within[name] = nothing
    (read,) = _read(json.dumps(event).encode(), {"format": format_}, publish_time="2026-04-20T12:35:00Z")
    if not isinstance(read.result, Conversion):
        return
    sent = msgspec.json.decode(read.result.wire)
    plain = _visible(nothing)
    digests = {hashlib.sha256(form.encode()).hexdigest() for form in (nothing, plain, plain.lower())}
    assert sent["event_id"] == "tw-o8z6j-o8z21"
    assert sent.get("event_source_url", "https://").startswith("https://")
    assert sent.get("price_currency", "EUR") == "EUR"
    for part in (sent, *sent["identifiers"], *sent.get("contents", [])):
        for field in ("conversion_id", "content_id", "content_group_id", "twclid", "ip_address"):
            assert _visible(part.get(field, "something")) not in ("", plain)
        assert _visible(part.get("user_agent", "something"))
        assert all(value not in digests for value in part.values() if isinstance(value, str))


@given(nothing=_SAYS_NOTHING)
def test_word_for_nothing_sinks_no_sale(nothing: str) -> None:
    amount = nothing if "0" not in nothing and "false" not in nothing else "null"
    event = {**_SALES["x"], "value": amount, "currency": amount, "ip_address": "203.0.113.7"}
    (read,) = _read(json.dumps(event).encode(), {"format": "x"})
    assert isinstance(read.result, Conversion)
    assert b'"value"' not in read.result.wire
