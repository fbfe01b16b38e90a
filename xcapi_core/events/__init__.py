"""Raw event → Conversion: one module a dialect."""

from collections.abc import Callable, Mapping
from typing import Literal

from xcapi_core.conversions import Conversion
from xcapi_core.events.consent import may_send, says_nothing
from xcapi_core.events.fields import is_object, kind_of
from xcapi_core.events.ga4 import read_ga4
from xcapi_core.events.pixels import choose_pixel
from xcapi_core.events.segment import read_segment
from xcapi_core.events.segment_shape import keeps_from_x
from xcapi_core.events.source import EventSource
from xcapi_core.events.x import read_x
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["EventSource", "read_event"]

_Reading = Conversion | Invalid | Expired | Skipped
_Reader = Callable[[Mapping[str, object], PixelSettings, EventSource, Settings], _Reading]

# A dialect is a module here and a line in this table.
_READERS: Mapping[str, _Reader] = {"x": read_x, "ga4": read_ga4, "segment": read_segment}


def read_event(
    event: object, source: EventSource, settings: Settings, format_: Literal["x", "ga4", "segment"]
) -> Conversion | Invalid | Expired | Skipped:
    """Read one raw event, whatever it is, into a Conversion or into the reason why it is none.

    `event` is what a JSON decoder gives, with fractions as Decimal. Nothing is raised for any value. Consent is
    judged before anything else, so that nobody's refusal lies in a dead-letter queue; problems name places and
    kinds, never values.
    """
    pixel = choose_pixel(event, source.message_pixel_id, settings, format_)
    if says_nothing(event):
        if settings.consent == "require":
            return Skipped(SkipReason.NO_CONSENT)
    else:
        # Whoever refuses for one pixel of several should not lie in a dead-letter queue because nobody knows for which.
        categories = settings.consent_categories_of(None if isinstance(pixel, Problem) else pixel)
        if not may_send(event, policy=settings.consent, categories=categories):
            return Skipped(SkipReason.NO_CONSENT)
    if not is_object(event):
        return Invalid(Problem(path="event", found=kind_of(event), expected="a JSON object"))
    if format_ == "segment" and keeps_from_x(event):
        return Skipped(SkipReason.UNWANTED)
    if isinstance(pixel, Problem):
        return Invalid(pixel)
    return _READERS[format_](event, pixel, source, settings)
