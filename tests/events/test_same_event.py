"""The same event through every serialiser's shapes, in one another, is the same conversion."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.samples import FULL_SHAPES, SHAPES
from tests.events.serialised import BODIES, LISTS, OBJECTS, in_unions, shaped
from tests.events.sources import read_alone
from tests.fakes import delivery
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.settings import PixelSettings, Settings

_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={"o8z6j": PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={"purchase": "tw-o8z6j-o8z21"})},
)
_SHAPES = {**SHAPES, **FULL_SHAPES}
_WHEN = {"publish_time": "2026-04-20T12:35:00+00:00"}
_NOW = datetime(2026, 4, 20, 12, 36, tzinfo=UTC)


def _reshaped(value: Any, draw: Callable[[Any], Any], *, at_top: bool = True) -> Any:
    """Write objects and lists anew, each in one shape or in one of another; of empty objects PHP makes lists."""
    if isinstance(value, dict):
        value = {name: _reshaped(item, draw, at_top=False) for name, item in value.items()}
        if not value and not at_top:
            return []
    elif isinstance(value, list) and value:
        value = shaped([_reshaped(item, draw, at_top=False) for item in value], LISTS, draw)
    else:
        return value
    return value if at_top else shaped(value, OBJECTS, draw)


def _read(data: bytes, attributes: dict[str, str]) -> object:
    message = delivery(data, attributes, publish_time="2026-04-20T12:35:00Z")
    (read,) = read_events(message, _SETTINGS, received_at=_NOW, settled=())
    assert isinstance(read, ReadEvent)
    return read.result


@given(
    shape=st.sampled_from(sorted(_SHAPES)),
    number=st.integers(0, 99_999),
    body=st.sampled_from(sorted(BODIES)),
    in_avro=st.sampled_from(["no", "before", "after"]),
    data=st.data(),
)
@settings(max_examples=150)
def test_event_in_any_serialiser_s_shapes_is_the_same_conversion(
    shape: str, number: int, body: str, in_avro: str, data: st.DataObject
) -> None:
    format_, make = _SHAPES[shape]
    plain = _read(json.dumps(make(number)).encode(), {"format": format_})
    event: Any = make(number)
    if in_avro == "before":
        event = in_unions(event, data.draw)
    event = _reshaped(event, data.draw)
    if in_avro == "after":
        event = in_unions(event, data.draw)
    unions = {} if in_avro == "no" else {"googclient_schemaencoding": "JSON"}
    stated = {"format": format_} if data.draw(st.booleans()) else {}
    written = BODIES[body](event, "batch" if format_ == "segment" else "events")
    assert isinstance(plain, Conversion)
    assert plain.dropped == ()
    assert _read(written, stated | unions) == plain, written


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
