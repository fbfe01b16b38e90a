"""The straight way says what the thorough reader says, or nothing: over the samples, every case, and damage."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.samples import SHAPES
from tests.events.sources import event_source, straight_reader
from tests.events.test_dialects import _KEYS, _VALUES, _replace
from xcapi_core.conversions import Conversion
from xcapi_core.events import read_event
from xcapi_core.events.consent import CONSENT_FIELDS
from xcapi_core.events.splitting import decode_event
from xcapi_core.events.straight import StraightReader
from xcapi_core.outcomes import Skipped, SkipReason
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.settings.reader import read_settings

_RECEIVED = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
_PIXEL = PixelSettings(
    pixel_id="o8z6j",
    credentials="env:KEYS",
    event_ids={"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22", "site_visit": "tw-o8z6j-o8z2b"},
    consent_categories=("Advertising",),
)
_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null", pixels={"o8z6j": _PIXEL}, default_phone_region="GB", max_event_age_hours=10**5
)
_FOREIGN = [name for name in SHAPES if name != "X"]


def _reader(dialect: str, configured: Settings = _SETTINGS, **changes: Any) -> StraightReader:
    return straight_reader(dialect, configured, **{"received_at": _RECEIVED, **changes})


def _straight(
    event_bytes: bytes, dialect: str, configured: Settings = _SETTINGS, **changes: Any
) -> Conversion | Skipped | None:
    return _reader(dialect, configured, **changes).read(event_bytes)


def _thorough(event_bytes: bytes, dialect: Any, configured: Settings = _SETTINGS, **source: Any) -> object:
    decoded = decode_event(event_bytes)
    return read_event(decoded, event_source(event_bytes=event_bytes, **source), configured, dialect)


@pytest.mark.parametrize("shape", _FOREIGN)
def test_what_sources_send_in_bulk_is_straight(shape: str) -> None:
    dialect, make = SHAPES[shape]
    for change in ({}, {"event_name": "scroll"}, {"event": "Cart Viewed"}):
        data = json.dumps(make(7) | {key: text for key, text in change.items() if key in make(7)}).encode()
        assert _straight(data, dialect) == _thorough(data, dialect)
        assert _straight(data, dialect) is not None


def _rows() -> list[Any]:
    files = sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [pytest.param(row, id=row["name"]) for row in rows if row.get("format", "x") != "x"]


_BASE = {
    "dead_letter_topic": "file:/dev/null",
    "pixels": {"o8z6j": {"credentials": "env:KEYS", "event_ids": _PIXEL.event_ids}},
}


@pytest.mark.parametrize("row", _rows())
def test_every_case_is_read_alike_or_declined(row: dict[str, Any]) -> None:
    data = json.dumps(row["event"]).encode()
    configured = read_settings(json.dumps(_BASE | row.get("settings", {})))
    source = {"received_at": _RECEIVED, **row.get("source", {})}
    straight = _straight(data, row["format"], configured, **source)
    assert straight is None or straight == _thorough(data, row["format"], configured, **source)


@given(
    shape=st.sampled_from(_FOREIGN),
    damage=st.lists(st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=5), _VALUES), max_size=2),
    more=st.dictionaries(_KEYS | st.sampled_from(sorted(CONSENT_FIELDS)), _VALUES, max_size=2),
    inside=st.sampled_from(["", "events", "params", "user_data", "properties", "context", "traits", "page", "device"]),
)
@settings(max_examples=1_000, deadline=None)
def test_whatever_is_damaged_or_added_is_read_alike_or_declined(
    shape: str, damage: list[tuple[list[int], object]], more: dict[str, object], inside: str
) -> None:
    dialect, make = SHAPES[shape]
    event: Any = make(7)
    for choices, value in damage:
        _replace(event, choices, value)
    place = _within(event, inside)
    place.update(more)
    try:
        data = json.dumps(event, default=_number).encode()
    except (ValueError, OverflowError):  # an integer of more digits than Python writes
        return
    straight = _straight(data, dialect)
    assert straight is None or straight == _thorough(data, dialect)


def _within(event: Any, name: str) -> dict[str, Any]:
    """Return the object of that name, wherever it stands in an event; the event itself where there is none."""
    found = [event]
    for node in found:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        found.extend(child for child in children if isinstance(child, dict | list))
        inner = node.get(name) if isinstance(node, dict) else None
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, dict):
            return inner
    return event if isinstance(event, dict) else {}


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() and abs(value) < 10**30 else None
    raise ValueError(value)


@pytest.mark.parametrize("shape", _FOREIGN)
@pytest.mark.parametrize("field", sorted(CONSENT_FIELDS))
@pytest.mark.parametrize("inside", ["", "user", "user_data", "params", "properties", "context", "traits", "device"])
def test_refusal_in_any_field_at_any_place_is_heard(shape: str, field: str, inside: str) -> None:
    dialect, make = SHAPES[shape]
    for refusal in (False, "denied", {"ad_storage": "denied"}, "G100", "13p3p3", 1, True, "Yes", "1YYN"):
        event = make(7)
        _within(event, inside)[field] = refusal
        data = json.dumps(event).encode()
        straight = _straight(data, dialect)
        assert straight is None or straight == _thorough(data, dialect)
        unwanted = data.replace(b'"purchase"', b'"scroll"').replace(b'"Order Completed"', b'"Cart Viewed"')
        straight = _straight(unwanted, dialect)
        assert straight is None or straight == _thorough(unwanted, dialect)


@pytest.mark.parametrize(
    "row", [{"key": "opt_out", "value": {"int_value": "1"}}, {"key": "gcs", "value": {"string_value": "G100"}}]
)
def test_refusal_among_a_row_s_parameters_is_heard(row: dict[str, Any]) -> None:
    event = SHAPES["BigQuery export"][1](7)
    event["event_params"].append(row)
    assert _straight(json.dumps(event).encode(), "ga4") is None
    assert _thorough(json.dumps(event).encode(), "ga4") == Skipped(SkipReason.NO_CONSENT)


@pytest.mark.parametrize(
    "configured",
    [
        Settings(dead_letter_topic="file:/dev/null", pixels={"o8z6j": _PIXEL}, consent="require"),
        Settings(
            dead_letter_topic="file:/dev/null",
            pixels={
                "o8z6j": PixelSettings(
                    pixel_id="o8z6j",
                    credentials="env:KEYS",
                    event_ids=_PIXEL.event_ids,
                    conversion_id_from=("ga_session_id",),
                )
            },
        ),
    ],
)
@pytest.mark.parametrize("shape", _FOREIGN)
def test_nothing_is_straight_where_every_event_has_to_be_weighed(configured: Settings, shape: str) -> None:
    dialect, make = SHAPES[shape]
    assert _straight(json.dumps(make(7)).encode(), dialect, configured) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_message_of_another_kind_is_tried_ever_more_rarely(shape: str) -> None:
    dialect, make = SHAPES[shape]
    good = msgspec.json.encode(make(7))
    reader = _reader(dialect)
    for _ in range(4):
        assert reader.read(b"{}") is None
    # Of those after a fourth, a fifth and a sixth miss, so many are not tried.
    for passed_over in (4, 5, 6):
        assert [reader.read(good) for _ in range(passed_over)] == [None] * passed_over
        assert reader.read(b"{}") is None


def test_mixed_message_is_read_straight_where_it_can_be() -> None:
    dialect, make = SHAPES["event data"]
    good = msgspec.json.encode(make(7))
    reader = _reader(dialect)
    for _ in range(3):
        assert [reader.read(data) is None for data in (b"{}", b"{}", b"{}", good)] == [True, True, True, False]
    for _ in range(4):
        reader.read(b"{}")
    assert [reader.read(good) is None for _ in range(6)] == [True] * 4 + [False] * 2


def test_null_name_makes_no_body_an_event() -> None:
    body = SHAPES["Measurement Protocol"][1](7)
    assert _straight(json.dumps(body).encode(), "ga4") is not None
    for key in ("event_name", "name", "params"):
        data = json.dumps({**body, key: None}).encode()
        assert _straight(data, "ga4") is None


@pytest.mark.parametrize("shape", _FOREIGN)
def test_bytes_that_are_no_text_are_not_passed_over(shape: str) -> None:
    dialect, make = SHAPES[shape]
    data = json.dumps(make(7) | {"nobody looks here": "caf\u00e9"}, ensure_ascii=False)
    assert _straight(data.encode(), dialect) == _thorough(data.encode(), dialect)
    assert _straight(data.encode("latin-1"), dialect) is None


@pytest.mark.parametrize("shape", _FOREIGN)
def test_numbers_too_long_for_an_id_are_weighed(shape: str) -> None:
    dialect, make = SHAPES[shape]
    text = json.dumps(make(7)).replace('"SKU-7"', "1" + 70 * "0")
    assert "0" * 70 in text
    assert _straight(text.encode(), dialect) is None


@pytest.mark.parametrize("shape", _FOREIGN)
@pytest.mark.parametrize("number", ["1" * 5_000, "-1e" + "9" * 30, "[1.5e" + "9" * 30 + "]"])
def test_numbers_too_long_to_be_read_that_nobody_asks_for_are_passed_over_alike(shape: str, number: str) -> None:
    dialect, make = SHAPES[shape]
    data = json.dumps(make(7)).removesuffix("}") + f', "nobody looks here": {number}}}'
    assert _straight(data.encode(), dialect) == _thorough(data.encode(), dialect)
    assert isinstance(_straight(data.encode(), dialect), Conversion)
