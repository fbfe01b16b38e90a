"""The same event through every serialiser's shape is the same conversion; and no id of nothing reaches the wire."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.samples import FULL_SHAPES, SHAPES
from tests.events.sources import read_alone
from xcapi_core.conversions import Conversion
from xcapi_core.settings import PixelSettings, Settings

_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={"o8z6j": PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={"purchase": "tw-o8z6j-o8z21"})},
)
_SHAPES = {**SHAPES, **FULL_SHAPES}
_WHEN = {"publish_time": "2026-04-20T12:35:00+00:00"}
# What a serialiser may have made of an object or a list.
_OBJECTS: dict[str, Callable[[dict[str, Any]], Any]] = {"as it is": dict, "text": json.dumps}
_LISTS: dict[str, Callable[[list[Any]], Any]] = {
    "as it is": list,
    "text": json.dumps,
    "indices": lambda items: {str(index): item for index, item in enumerate(items)},
    "gaps": lambda items: {str(index * 3 + 1): item for index, item in enumerate(items)},
    "indices as text": lambda items: json.dumps({str(index): item for index, item in enumerate(items)}),
}


def _reshaped(value: Any, draw: Callable[[Any], str], *, at_top: bool = True) -> Any:
    """Write objects and lists anew, each in one of the shapes; of empty objects PHP makes lists."""
    if isinstance(value, dict):
        inner = {name: _reshaped(item, draw, at_top=False) for name, item in value.items()}
        if not inner and not at_top:
            return []
        return inner if at_top else _OBJECTS[draw(st.sampled_from(sorted(_OBJECTS)))](inner)
    if isinstance(value, list) and value:
        inner_items = [_reshaped(item, draw, at_top=False) for item in value]
        return _LISTS[draw(st.sampled_from(sorted(_LISTS)))](inner_items)
    return value


@given(shape=st.sampled_from(sorted(_SHAPES)), number=st.integers(0, 99_999), data=st.data())
@settings(deadline=None, max_examples=150)
def test_event_in_any_serialiser_s_shape_is_the_same_conversion(shape: str, number: int, data: st.DataObject) -> None:
    format_, make = _SHAPES[shape]
    event = make(number)
    plain = read_alone(json.dumps(event).encode(), format_, _SETTINGS, **_WHEN)  # type: ignore[arg-type]  # a table's text
    reshaped = _reshaped(event, data.draw)
    reading = read_alone(json.dumps(reshaped).encode(), format_, _SETTINGS, **_WHEN)  # type: ignore[arg-type]  # as above
    assert isinstance(plain, Conversion)
    assert plain.dropped == ()
    assert reading == plain


@pytest.mark.parametrize("shape", sorted(FULL_SHAPES))
def test_full_sample_has_every_kind_of_identifier_and_two_products(shape: str) -> None:
    format_, make = FULL_SHAPES[shape]
    reading = read_alone(json.dumps(make(7)).encode(), format_, _SETTINGS, **_WHEN)  # type: ignore[arg-type]  # as above
    assert isinstance(reading, Conversion)
    sent = msgspec.json.decode(reading.wire)
    assert sent["identifiers"][0].keys() == {
        "twclid",
        "hashed_email",
        "hashed_phone_number",
        "ip_address",
        "user_agent",
    }
    assert len(sent["contents"]) == 2


# Written out from the contract, not taken from the code.
_NOTHING = st.sampled_from(
    ["", "(not set)", "(data not available)", "[object Object]", '""', "-", "0", "{}", "[]", "<null>", "Optional(nil)"]
) | st.sampled_from(["undefined", "null", "none", "nil", "NaN", "N/A", "false", "unknown", "(other)"])
_INVISIBLE = st.text(st.sampled_from("\u200b\u200e\u200f\u00ad\ufeff\u2060\x00\x07"), max_size=3)
_LEFTOVERS = st.sampled_from(
    ["{{transaction_id}}", "a{{b}}c", "${orderId}", "x-${y}", "undefined-undefined", "order-undefined"]
) | st.sampled_from(["%ORDER_ID%", "%%ORDER_ID%%", "__ORDER_ID__", "[order_id]", "{order_id}", "<order_id>"])
_IDS = st.one_of(
    st.tuples(_INVISIBLE, st.lists(_NOTHING, min_size=1, max_size=3), st.sampled_from(",_- "), _INVISIBLE).map(
        lambda drawn: drawn[0] + drawn[2].join(drawn[1]) + drawn[3]
    ),
    _LEFTOVERS,
    _INVISIBLE,
)


@given(shape=st.sampled_from(sorted(SHAPES)), nothing=_IDS, upper=st.booleans())
@settings(deadline=None, max_examples=300)
def test_id_of_nothing_never_reaches_the_wire(shape: str, nothing: str, upper: bool) -> None:  # noqa: FBT001 - drawn
    nothing = nothing.upper() if upper else nothing
    format_, make = SHAPES[shape]
    text = json.dumps(make(7))
    for own in ("order-7", "SKU-7", "ajs-f8ca1e4de5024d9430b3928bd8000007"):
        text = text.replace(f'"{own}"', json.dumps(nothing))
    reading = read_alone(text.encode(), format_, _SETTINGS, **_WHEN)  # type: ignore[arg-type]  # a table's text
    assert isinstance(reading, Conversion)
    sent = msgspec.json.decode(reading.wire)
    assert sent["conversion_id"].startswith("xcapi-")
    assert "content_id" not in sent["contents"][0]


@given(nothing=_IDS)
@settings(deadline=None, max_examples=150)
def test_click_id_of_nothing_never_reaches_the_wire(nothing: str) -> None:
    event = {"event": "purchase", "order_id": "A1", "email": "jane@example.com", "twclid": nothing}
    reading = read_alone(json.dumps(event).encode(), "x", _SETTINGS)
    assert isinstance(reading, Conversion)
    assert msgspec.json.decode(reading.wire)["identifiers"][0].keys() == {"hashed_email"}
