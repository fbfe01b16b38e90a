"""Raw event → Conversion: opened in its dialect, its consent judged, then read."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.consent import UNSAID, Judgement, allows, judge
from xcapi_core.events.consent_signals import is_silent
from xcapi_core.events.detection import Format
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.fields import is_object, kind_of
from xcapi_core.events.ga4 import open_ga4, read_ga4
from xcapi_core.events.opened import Opened, first_pixel_id, path_within
from xcapi_core.events.pixels import choose_pixel
from xcapi_core.events.segment import open_segment, read_segment
from xcapi_core.events.shapes import as_object
from xcapi_core.events.source import EventSource
from xcapi_core.events.x import open_x, read_x
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["Reading", "open_event", "read_event", "read_for_pixel"]

Reading = Conversion | Invalid | Expired | Skipped
_Opener = Callable[[Mapping[str, object], Envelope | None], Opened | Problem]
_Reader = Callable[[Opened, PixelSettings, EventSource, Settings], Reading]

# A dialect is a module and a line in this table.
_DIALECTS: Final[Mapping[Format, tuple[_Opener, _Reader]]] = {
    "x": (open_x, read_x),
    "ga4": (open_ga4, read_ga4),
    "segment": (open_segment, read_segment),
}


def read_event(event: object, source: EventSource, settings: Settings, format_: Format) -> Reading:
    """Read one raw event, whatever it is, into a Conversion or into the reason why it is none.

    `event` is what a JSON decoder gives, with fractions as Decimal. Nothing is raised for any value. Consent is
    judged before anything else, so that no event of a person who said no becomes a dead letter. Problems name places
    and kinds, never values.
    """
    return read_for_pixel(event, source, settings, format_)[0]


def read_for_pixel(
    event: object, source: EventSource, settings: Settings, format_: Format
) -> tuple[Reading, PixelSettings | None]:
    """Read an event as `read_event` does, and return the pixel that it is for as well, None where none can be told."""
    if not isinstance(event, dict):
        event = as_object(event) if isinstance(event, str) else event
    open_dialect, read_dialect = _DIALECTS[format_]
    envelope = source.envelope
    # Below, values are asked about by what they should be: to tell that one is no Problem takes several times as long.
    opened = open_dialect(event, envelope) if isinstance(event, dict) else _no_object(event, envelope)
    own = opened.pixel_id if isinstance(opened, Opened) else first_pixel_id(*([event] if is_object(event) else []))
    pixel = choose_pixel(own, source.message_pixel_id, settings)
    told = pixel if isinstance(pixel, PixelSettings) else None
    silent = envelope is None and not source.has_unions and is_silent(event, source.event_bytes)
    judgement = UNSAID if silent else _judge(event, source, settings, told)
    if not (silent and settings.consent == "respect") and not allows(judgement, settings.consent):
        return Skipped(SkipReason.NO_CONSENT, judgement.codes), told
    if isinstance(opened, Opened) and opened.is_unwanted:
        return Skipped(SkipReason.UNWANTED), told
    if not isinstance(pixel, PixelSettings):
        return Invalid(pixel if is_object(event) else _no_object(event, envelope)), None
    if not isinstance(opened, Opened):
        return Invalid(opened), told
    reading = read_dialect(opened, pixel, source, settings)
    if judgement.codes and isinstance(reading, Conversion):
        reading = msgspec.structs.replace(reading, dropped=(*reading.dropped, *judgement.codes))
    return reading, told


def open_event(event: object, envelope: Envelope | None, format_: Format) -> Opened | Problem:
    """Find the places of an event in its dialect."""
    return _DIALECTS[format_][0](event, envelope) if is_object(event) else _no_object(event, envelope)


def _no_object(event: object, envelope: Envelope | None) -> Problem:
    path = path_within(envelope).removesuffix(".") or "event"
    return Problem(path=path, found=kind_of(event), expected="a JSON object")


def _judge(event: object, source: EventSource, settings: Settings, pixel: PixelSettings | None) -> Judgement:
    """Judge an event together with what stands around it: any no wins over any yes."""
    envelope = source.envelope
    if settings.consent == "ignore":
        return UNSAID
    # If the pixel is ambiguous, apply every pixel's consent categories.
    categories = settings.consent_categories_of(pixel)
    around = () if envelope is None else (envelope.fields, envelope.outer)
    return judge(event, *around, categories=categories, event_bytes=source.event_bytes, unions=source.has_unions)
