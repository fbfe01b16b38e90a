"""One pixel an event: its own `pixel_id`, else the message's attribute, else the default."""

from xcapi_core.events.fields import cut_invisible, is_absent, kind_of, read_text
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["choose_pixel"]


def choose_pixel(own: object, message_pixel_id: str | None, settings: Settings) -> PixelSettings | Problem:
    """Return the pixel of an event that says `own` of it, or the problem where none can be told.

    Anything but null that names no pixel is a problem, so that no sale goes to the default by mistake. Only a blank
    attribute is none: it has no null.
    """
    if own is None and message_pixel_id is None and (pixel := settings.pixels.get(settings.default_pixel or "")):
        return pixel
    if own is not None:
        pixel_id = read_text(cut_invisible(own) if isinstance(own, str) else own)
        return _configured(pixel_id, kind_of(own), "pixel_id", settings)
    if message_pixel_id is not None and not is_absent(message_pixel_id):
        return _configured(read_text(cut_invisible(message_pixel_id)), "text", "attributes.pixel_id", settings)
    if settings.default_pixel is not None:
        return _configured(settings.default_pixel, "text", "default_pixel", settings)
    if len(settings.pixels) == 1:
        return next(iter(settings.pixels.values()))
    return Problem(
        path="pixel_id",
        found="nothing, while several pixels are configured",
        expected="pixel_id in the event or among the message's attributes, or default_pixel in the configuration",
    )


def _configured(pixel_id: str | None, kind: str, path: str, settings: Settings) -> PixelSettings | Problem:
    pixel = settings.pixels.get(pixel_id) if pixel_id is not None else None
    if pixel is not None:
        return pixel
    found = kind if pixel_id is None else "a pixel that is not configured"
    return Problem(path=path, found=found, expected=f"one of the configured pixels: {', '.join(settings.pixels)}")
