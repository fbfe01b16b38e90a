"""The straight way of `x` says what the thorough reader says, or nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events.sources import event_source, straight_reader
from xcapi_core.conversions import Conversion
from xcapi_core.events import read_event
from xcapi_core.events.reading import read_events
from xcapi_core.events.splitting import decode_event
from xcapi_core.events.straight import StraightReader
from xcapi_core.outcomes import Invalid
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import read_settings

_NOW = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
_PIXEL: dict[str, Any] = {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21", "null": "o8z22"}}
_BASE: dict[str, Any] = {"dead_letter_topic": "file:letters", "pixels": {"o8z6j": _PIXEL}}
_VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"default_currency": "EUR", "default_phone_region": "GB"},
    {"max_event_age_hours": 24, "consent": "ignore"},
    {
        "pixels": {
            "o8z6j": _PIXEL,
            "p2": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-p2-o8z23"}},
            "p3": {"credentials": "env:KEYS", "event_ids": {"purchase": "o8z24"}, "conversion_id_from": ["twclid"]},
        },
        "default_pixel": "p2",
    },
)
_SETTINGS = tuple(read_settings(json.dumps(_BASE | variant)) for variant in _VARIANTS)

_SALE = {
    "event": "purchase",
    "order_id": "A-1",
    "time": "2026-04-20T14:34:56+02:00",
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "email": "Jane.Doe@Example.com",
    "value": 129.9,
    "currency": "eur",
    "items": [{"item_id": 17, "item_name": "Boots", "price": "129.90", "quantity": 2}, {"content_id": "B"}],
}
_NAMES = sorted(
    {
        *("event", "conversion_id", "transaction_id", "order_id", "conversion_time", "time", "timestamp", "twclid"),
        *("email", "phone", "ip_address", "user_agent", "value", "price_currency", "currency", "contents", "items"),
        *("products", "event_id", "event_name", "hashed_email", "consent", "user", "identifiers", "number_items"),
        *("pixel_id", "gcs", "value_micros", "description", "event_source_url", "search_string"),
    }
)
_LINE_NAMES = (
    *("content_id", "item_id", "content_name", "item_name", "content_type", "item_category", "content_price", "price"),
    *("num_items", "quantity", "sku", "content_group_id"),
)
_WORDS = (
    *("o8z6j", "p2", " p3 ", " Purchase"),
    *("", " ", "null", "(not set)", "purchase", "NaN", "0", "1", "12.50", "1e3", "-1", "USD", " eur ", "A-1", "\ud800"),
    *(
        "2026-04-20T12:34:56Z",
        "2026-04-20T12:34:56.123456789+05:30",
        "2026-04-20",
        "20260420",
        "1776688496",
        "1999-01-01",
    ),
    *("2026-04-20T12:34:56", "9999-12-31T23:59:59-01:00", "a@b.co", "a@b", "1.2.3.4", "10.0.0.1", "+442070000001"),
    *(
        "020 7000 0001",
        "%7B%22twclid%22%3A%22c1%22%7D",
        "[object Object]",
        "a" * 64,
        "x" * 300,
        "https://a.example/b?c",
        "//a",
    ),
)
_VALUES: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from(
        [None, True, False, 0, 1, 2, -1, 10**15, 10**70, 2**31, 1776688496, 1776688496123, [], {}, ["a@b.co"]]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
_LINES = st.lists(st.dictionaries(st.sampled_from(_LINE_NAMES), _VALUES, max_size=5), max_size=3)
_CHANGES = st.dictionaries(st.sampled_from(_NAMES), st.one_of(_VALUES, _LINES), max_size=4)


def _reader(settings: Settings) -> StraightReader:
    return straight_reader("x", settings, publish_time=_NOW, received_at=_NOW)


def _weighed(event_bytes: bytes, settings: Settings) -> object:
    source = event_source(event_bytes=event_bytes, publish_time=_NOW, received_at=_NOW)
    return read_event(decode_event(event_bytes), source, settings, "x")


def _raw(event: object) -> bytes:
    return json.dumps(event, allow_nan=False).encode("utf-8", "surrogatepass")


def _removing(event: dict[str, object], names: set[str]) -> dict[str, object]:
    return {name: value for name, value in event.items() if name not in names}


@given(_CHANGES, st.sets(st.sampled_from(sorted(_SALE)), max_size=3), st.sampled_from(_SETTINGS))
def test_what_is_read_straight_is_what_weighing_would_have_read(
    changes: dict[str, object], removed: set[str], settings: Settings
) -> None:
    event_bytes = _raw(_removing(_SALE, removed) | changes)
    straight = _reader(settings).read(event_bytes)
    assert straight is None or straight == _weighed(event_bytes, settings)


@given(_LINES, st.sampled_from(_SETTINGS))
def test_content_lines_are_the_same(lines: list[dict[str, object]], settings: Settings) -> None:
    event_bytes = _raw(_SALE | {"items": lines})
    straight = _reader(settings).read(event_bytes)
    assert straight is None or straight == _weighed(event_bytes, settings)


_CASES = [
    msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    for file in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
    for line in file.read_bytes().splitlines()
]


@pytest.mark.parametrize("settings", _SETTINGS, ids=["bare", "defaults", "ages", "pixels"])
def test_every_row_of_the_tables_is_the_same(settings: Settings) -> None:
    reader = _reader(settings)
    read = 0
    for case in _CASES:
        event_bytes = bytes(case["event"])
        straight = reader.read(event_bytes)
        if straight is not None:
            assert straight == _weighed(event_bytes, settings), bytes(case["name"])
            read += 1
    assert read > 0


@pytest.mark.parametrize("name", ["conversion_id", "transaction_id", "order_id"])
@pytest.mark.parametrize("lines", ["contents", "items", "products", None])
@pytest.mark.parametrize("time", ["conversion_time", "time", "timestamp", None])
@pytest.mark.parametrize("who", ["twclid", "email", "phone", "both"])
def test_usual_events_are_straight(name: str, lines: str | None, time: str | None, who: str) -> None:
    whose = {
        "twclid": {"twclid": "23opevjt88psuo13lu8d020qkn"},
        "email": {"email": "jane@example.com"},
        "phone": {"phone": "+442070000001"},
        "both": {"ip_address": "203.0.113.7", "user_agent": "Mozilla/5.0"},
    }
    event: dict[str, object] = {"event": "purchase", name: "A-1", **whose[who]}
    if lines:
        event |= {lines: _SALE["items"], "value": 12, "currency": "EUR"}
    if time:
        event[time] = "2026-04-20T14:34:56+02:00"
    straight = _reader(_SETTINGS[0]).read(_raw(event))
    assert isinstance(straight, Conversion)
    assert straight == _weighed(_raw(event), _SETTINGS[0])
    assert json.loads(straight.wire)["conversion_id"] == "A-1"


def _read(events: list[object], settings: Settings = _SETTINGS[0], **attributes: str) -> list[object]:
    return _results(_raw(events), settings, **attributes)


def _results(data: bytes, settings: Settings = _SETTINGS[0], **attributes: str) -> list[object]:
    message = PubsubMessage(
        message_id="7",
        publish_time="2026-04-20T12:35:00Z",
        data=data,
        attributes=attributes,
        subscription="s",
        ordering_key="",
        delivery_attempt=None,
    )
    read = list(read_events(message, settings, received_at=_NOW, settled=frozenset()))
    return [event if isinstance(event, int) else event.result for event in read]


def test_a_stream_of_straight_and_other_events_keeps_its_order() -> None:
    other = {**_SALE, "user": {"email": "john@example.com"}}
    events: list[object] = [_SALE, other, other, 5, other, other, _SALE, {**_SALE, "consent": False}]
    kinds = [type(result).__name__ for result in _read(events)]
    assert kinds == ["Conversion", "Conversion", "Conversion", "Invalid", *["Conversion"] * 3, "Skipped"]


def test_each_event_is_read_for_the_pixel_that_it_names() -> None:
    several = _SETTINGS[3]
    events: list[object] = [{**_SALE, "pixel_id": name} for name in ("o8z6j", " p2", "p3", "p4")]
    read = _read([*events, _SALE], several)
    pixels = [result.pixel_id if isinstance(result, Conversion) else type(result).__name__ for result in read]
    assert pixels == ["o8z6j", "p2", "p3", "Invalid", "p2"]
    named, unnamed = _read([{**_SALE, "pixel_id": "p2"}, _SALE], several, pixel_id="o8z6j")
    assert isinstance(named, Conversion)
    assert isinstance(unnamed, Conversion)
    assert (named.pixel_id, unnamed.pixel_id) == ("p2", "o8z6j")


@pytest.mark.parametrize("name", ["o8z6j", " p2"])
def test_events_that_name_their_pixel_are_straight(name: str) -> None:
    event = {**_SALE, "pixel_id": name}
    straight = _reader(_SETTINGS[3]).read(_raw(event))
    assert isinstance(straight, Conversion)
    assert straight == _weighed(_raw(event), _SETTINGS[3])


def test_a_number_too_long_to_be_read_sinks_what_it_is_needed_for() -> None:
    text = _raw([_SALE, {**_SALE, "value": 7.5}, {**_SALE, "comment": 7.5}, _SALE])
    results = _results(text.replace(b"7.5", b"1e" + b"9" * 30))
    assert [type(result).__name__ for result in results] == ["Conversion", "Invalid", "Conversion", "Conversion"]
    assert isinstance(results[1], Invalid)
    assert results[1].problem.path == "value"


def test_who_must_say_yes_is_not_sent_for_being_straight() -> None:
    settings = read_settings(json.dumps(_BASE | {"consent": "require"}))
    assert [type(result).__name__ for result in _read([_SALE], settings)] == ["Skipped"]


def test_a_pixels_own_choice_of_dedup_key_holds_for_straight_events() -> None:
    document = json.loads(json.dumps(_BASE))
    document["pixels"]["o8z6j"]["conversion_id_from"] = ["twclid"]
    (result,) = _read([_SALE], read_settings(json.dumps(document)))
    assert isinstance(result, Conversion)
    assert result.conversion_id == _SALE["twclid"]


def test_an_unknown_pixel_among_the_attributes_is_told_of_each_straight_event() -> None:
    assert [type(result).__name__ for result in _read([_SALE, _SALE], pixel_id="other")] == ["Invalid", "Invalid"]


def test_a_reader_s_conversion_shows_nobody() -> None:
    straight = _reader(_SETTINGS[0]).read(msgspec.json.encode(_SALE))
    assert repr(straight) == "Conversion(pixel_id='o8z6j', dropped=())"
