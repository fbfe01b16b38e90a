"""A raw event with its places found, before anything in it is read."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import unquote

from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.fields import kind_of
from xcapi_core.events.names import Places
from xcapi_core.problems import Problem
from xcapi_core.records import Record

__all__ = ["NOTHING", "Opened", "first_pixel_id", "is_scanner", "not_a_body", "path_within"]

NOTHING: Final[Mapping[str, object]] = {}
# Google's scanner of tags, which loads pages from here and sets off their events.
_SCANNER: Final = re.compile(
    r"\s*(?:(?:https?:)?//(?:[^/?#@]*@)?)?gtm-msr\.appspot\.com(?::[0-9]*)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL
)


class Opened(Record, frozen=True, kw_only=True, gc=False):
    """One event's places, and for each of them the path to it.

    `name` is what the event calls itself, `pixel_id` what it says of its pixel. `is_unwanted` is True where it is meant
    for others than X.
    """

    _shown: ClassVar[tuple[str, ...]] = ("at", "is_unwanted")

    places: Places
    at: Sequence[str]
    pixel_id: object
    name: object = None
    is_unwanted: bool = False


def path_within(envelope: Envelope | None) -> str:
    """Return the path to an event in a body that holds no other, for problems: so its dead letter has it."""
    return f"{envelope.array}[0]." if envelope is not None and envelope.array else ""


def is_scanner(address: object) -> bool:
    """Tell whether a page's address, or its host's name, is one of Google's scanner."""
    return (
        isinstance(address, str) and "appspot" in address.lower() and _SCANNER.fullmatch(unquote(address)) is not None
    )


def first_pixel_id(*places: Mapping[str, object]) -> object:
    """Return the first `pixel_id` that is there, usable or not."""
    for place in places:
        pixel_id = place.get("pixel_id")
        if pixel_id is not None:
            return pixel_id
    return None


def not_a_body(event: Mapping[str, object], arrays: Sequence[str]) -> Problem | None:
    """Return what is wrong with an object that should hold events and holds none; None where it should hold none."""
    for name in arrays:
        value = event.get(name)
        if value is not None:
            found = "no event" if value == [] else kind_of(value)
            return Problem(path=name, found=found, expected="a list of events")
    return None
