"""What holds for every event whatever: nothing raises, only X's fields go out, nothing personal shows."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.sources import WIRE_FIELDS, event_source
from xcapi_core.conversions import Conversion
from xcapi_core.events import read_event
from xcapi_core.events.drops import Drop
from xcapi_core.outcomes import Expired, Invalid, Skipped
from xcapi_core.settings import PixelSettings, Settings

_PIXELS = {
    "o8z6j": PixelSettings(
        pixel_id="o8z6j",
        credentials="env:KEYS",
        event_ids={"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
        consent_categories=("Advertising",),
    ),
    "p2abc": PixelSettings(pixel_id="p2abc", credentials="env:KEYS", event_ids={}),
}
_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels=_PIXELS,
    default_pixel="o8z6j",
    default_phone_region="US",
    max_event_age_hours=1000.0,
)
_DOCUMENTED = {**dict.fromkeys(WIRE_FIELDS, str), "identifiers": list, "number_items": int, "contents": list}
_IN_CONTENTS = {"content_id", "content_name", "content_type", "content_price", "num_items", "content_group_id"}
_IN_IDENTIFIERS = {"twclid", "hashed_email", "hashed_phone_number", "ip_address", "user_agent"}
_KEYS = st.sampled_from(
    """
    event event_name event_id pixel_id email phone hashed_email hashed_phone_number twclid ip_address user_agent user
    identifiers conversion_time time timestamp conversion_id transaction_id order_id value conversion_value
    value_micros price_currency currency conversion_currency contents items products content_ids content_type
    number_items number_item description event_source_url search_string consent consent_state gcs gcd opt_out
    privacy_info us_privacy context properties params traits events content_id content_price price quantity num_items
    ad_storage categoryPreferences consentManagement allowedConsentIds deniedConsentIds ads_storage
    """.split()  # noqa: SIM905 - as a list it takes a screen
)
_ANY_TEXT = st.text(st.characters(), max_size=30)  # lone surrogates included
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300),
    st.decimals(),
    st.builds(lambda exponent: Decimal(f"1E{exponent}"), st.integers(-(10**9) + 1, 10**9 - 1)),
    st.floats(),
    _ANY_TEXT,
    st.sampled_from(
        """
        purchase tw-o8z6j-o8z21 tw-p2abc-1 o8z6j p2abc a@example.com +11234567890 203.0.113.7 19.99 EUR 1776688496
        2026-04-20T12:34:56Z undefined [object_Object] %7B%22twclid%22%3A%221%22%7D https://shop.example/ granted
        """.split()  # noqa: SIM905 - as above
    ),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(_KEYS, _ANY_TEXT), inner, max_size=5),
    ),
    max_leaves=15,
)
_EVENTS = st.one_of(
    _VALUES,
    st.dictionaries(_KEYS, _VALUES, max_size=12),
    st.builds(
        lambda event: {"event": "purchase", "twclid": "c1", **event},
        st.dictionaries(_KEYS.filter(lambda key: key not in {"consent", "event_id"}), _VALUES, max_size=6),
    ),
)


@given(event=_EVENTS, format_=st.sampled_from(["x", "ga4", "segment"]))
@settings(max_examples=500)
def test_any_value_gets_a_verdict_and_only_documented_fields_go_out(event: object, format_: Any) -> None:
    reading = read_event(event, event_source(), _SETTINGS, format_)
    assert isinstance(reading, Conversion | Invalid | Expired | Skipped)
    str(reading)
    if not isinstance(reading, Conversion):
        return
    assert set(reading.dropped) <= {drop.value for drop in Drop}
    sent = msgspec.json.decode(reading.wire)
    for key, value in sent.items():
        assert isinstance(value, _DOCUMENTED[key])
        assert value or key == "value"
    assert sent["identifiers"]
    for identifier in sent["identifiers"]:
        assert identifier.keys() <= _IN_IDENTIFIERS
        # Each element as X judges it.
        assert (
            identifier.keys() & {"twclid", "hashed_email", "hashed_phone_number"}
            or {"ip_address", "user_agent"} <= identifier.keys()
        )
    for line in sent.get("contents", []):
        assert line
        assert line.keys() <= _IN_CONTENTS


_PERSONAL = {
    "email": "jane.secret@example.com",
    "phone": "+442079460000",
    "twclid": "2dsecretclickid",
    "ip_address": "203.0.113.77",
    "user_agent": "SecretBrowser/1.0",
    "hashed_email": "a" * 64,
    "hashed_phone_number": "b" * 64,
}


@given(
    where=st.sampled_from(["top", "user", "identifiers"]),
    misplaced=st.lists(
        st.tuples(
            _KEYS.filter(lambda key: "consent" not in key.lower()),
            st.sampled_from(list(_PERSONAL.values())),
            st.sampled_from(["text", "list", "key"]),
        ),
        max_size=4,
    ),
)
@settings(max_examples=300)
def test_nothing_personal_shows_in_a_verdict(where: str, misplaced: list[tuple[str, str, str]]) -> None:
    event: dict[str, object] = {"event": "purchase"}
    event |= _PERSONAL if where == "top" else {where: [_PERSONAL] if where == "identifiers" else _PERSONAL}
    for key, value, how in misplaced:
        event[key] = {"text": value, "list": [value], "key": {value: 1}}[how]
    shown = str(read_event(event, event_source(), _SETTINGS, "x"))
    for value in _PERSONAL.values():
        assert value not in shown


@given(
    milliseconds=st.integers(946_684_800_000, 1_776_686_400_000),  # from 2000 to when the event was published
    offset_minutes=st.integers(-14 * 60, 14 * 60),
)
def test_same_instant_in_any_notation_is_the_same_conversion(milliseconds: int, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    notations = (
        time.astimezone(zone).isoformat(),
        f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
        milliseconds,
        str(milliseconds),
        milliseconds * 1000 + 999,
        Decimal(milliseconds) / 1000,
    )
    wires = {_wire({"event": "purchase", "twclid": "c", "order_id": "1", "time": notation}) for notation in notations}
    assert len(wires) == 1


@pytest.mark.parametrize("broken", ["\ud800", "a\udc00b", "\ud83d\ude00", "\x00"])
def test_broken_text_still_goes_out_as_json(broken: str) -> None:
    event = {
        "event_id": f"o8{broken}",
        "twclid": f"c{broken}",
        "order_id": f"1{broken}",
        "description": f"d{broken}",
        "user_agent": f"u{broken}",
        "email": f"{broken}@example.com",
        "phone": "+14155552671",
        "contents": [{"content_id": f"i{broken}"}],
    }
    sent = msgspec.json.decode(_wire(event))
    assert sent["conversion_id"].encode().startswith(b"1")
    assert sent["contents"][0]["content_id"].startswith("i")


@pytest.mark.parametrize("field", ["value", "value_micros", "conversion_time", "currency", "event_id"])
@pytest.mark.parametrize("digits", [5_000, 1_000_000])
def test_number_of_a_million_digits_is_refused_without_being_written_out(field: str, digits: int) -> None:
    for number in (10**digits, -(10**digits), Decimal((0, (1,) * digits, 0))):
        event = {"event": "purchase", "twclid": "c", "currency": "EUR", field: number}
        reading = read_event(event, event_source(), _SETTINGS, "x")
        assert isinstance(reading, Invalid)
        assert reading.problem.path == field


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(10**5_000, id="5,000 digits"),
        Decimal("1E+999999999"),
        Decimal("NaN"),
        Decimal("sNaN"),
        float("inf"),
    ],
)
def test_optional_number_without_bounds_sinks_no_sale(number: object) -> None:
    event = {
        "event": "purchase",
        "twclid": "c",
        "order_id": number,
        "number_items": number,
        "phone": number,
        "description": number,
        "contents": [{"content_id": number, "content_price": number}, {"content_id": "A", "quantity": number}],
    }
    reading = read_event(event, event_source(), _SETTINGS, "x")
    assert isinstance(reading, Conversion)
    assert reading.dropped.count("invalid_number_items") == 1
    assert msgspec.json.decode(reading.wire)["contents"] == [{"content_id": "A"}]


def test_conversion_shows_neither_its_ids_nor_its_bytes() -> None:
    reading = read_event(
        {"event_id": "jane@example.com", "order_id": "jane-1", "email": "jane@example.com"},
        event_source(conversion_id="jane-2"),
        _SETTINGS,
        "x",
    )
    assert isinstance(reading, Conversion)
    assert "jane" not in repr(reading)
    assert "jane" not in repr(event_source(conversion_id="jane-2", event_bytes=b"jane"))


def _wire(event: object) -> bytes:
    reading = read_event(
        event, event_source(), Settings(dead_letter_topic="file:/dev/null", pixels=_PIXELS, default_pixel="o8z6j"), "x"
    )
    assert isinstance(reading, Conversion)
    return reading.wire
