"""One pixel an event: its own `pixel_id`, else the message's attribute, else the default."""

from collections.abc import Mapping
from typing import Final

from xcapi_core.events.fields import is_absent, is_object, kind_of, read_text
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["choose_pixel"]


# Where an event of another system keeps what its sender adds to it, and what its body keeps its events in.
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {"x": (), "ga4": ("params",), "segment": ("properties",)}
_BODIES: Final[Mapping[str, tuple[str, ...]]] = {
    "x": (),
    "ga4": ("events", "conversions"),
    "segment": ("batch", "events", "conversions"),
}


def choose_pixel(
    event: object, message_pixel_id: str | None, settings: Settings, format_: str = "x"
) -> PixelSettings | Problem:
    """Return the pixel that an event is for, or the problem where none can be told."""
    own = _own_pixel_id(event, format_) if is_object(event) else None
    if own is not None and not is_absent(own):
        return _configured(read_text(own), kind_of(own), "pixel_id", settings)
    if message_pixel_id is not None and not is_absent(message_pixel_id):
        return _configured(read_text(message_pixel_id), "text", "attributes.pixel_id", settings)
    if settings.default_pixel is not None:
        return _configured(settings.default_pixel, "text", "default_pixel", settings)
    if len(settings.pixels) == 1:
        return next(iter(settings.pixels.values()))
    return Problem(
        path="pixel_id",
        found="nothing, while several pixels are configured",
        expected="pixel_id in the event or among the message's attributes, or default_pixel in the configuration",
    )


def _own_pixel_id(event: Mapping[str, object], format_: str) -> object:
    """Return what the event says of its pixel, before what the body around it says."""
    for name in _BODIES[format_]:
        events = event.get(name)
        if isinstance(events, list) and len(events) == 1 and is_object(events[0]):
            own = _own_pixel_id(events[0], format_)
            return event.get("pixel_id") if is_absent(own) else own
    for name in _PARTS[format_]:
        part = event.get(name)
        if is_object(part) and not is_absent(own := part.get("pixel_id")):
            return own
    own = event.get("pixel_id")
    rows = event.get("event_params") if own is None and format_ == "ga4" else None
    for row in rows if isinstance(rows, list) else ():
        if is_object(row) and row.get("key") == "pixel_id" and is_object(value := row.get("value")):
            return value.get("string_value")
    return own


def _configured(pixel_id: str | None, kind: str, path: str, settings: Settings) -> PixelSettings | Problem:
    pixel = settings.pixels.get(pixel_id) if pixel_id is not None else None
    if pixel is not None:
        return pixel
    found = kind if pixel_id is None else "a pixel that is not configured"
    return Problem(path=path, found=found, expected=f"one of the configured pixels: {', '.join(settings.pixels)}")
