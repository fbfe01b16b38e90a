"""The shapes of `segment`: one call, or a batch with one call in it, whose context and integrations the call inherits.

Sources: Segment, "Spec: Common Fields" and "HTTP API: batch"; RudderStack, "HTTP API".
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from xcapi_core.events.bodies import only_event_of
from xcapi_core.events.fields import is_absent, is_object, kind_of
from xcapi_core.problems import Problem
from xcapi_core.records import Record

__all__ = ["SegmentCall", "keeps_from_x", "open_segment"]

_NOTHING: Final[Mapping[str, object]] = {}
_BATCHES: Final = ("batch", "events", "conversions")

# X's destinations, as Segment's and RudderStack's catalogues name them, without case, spaces and underscores.
_X: Final = frozenset(
    {"x", "xads", "xconversions", "xconversionsapi", "twitter", "twitterads", "twitterconversions", "twitterpixel"}
)
_SQUEEZED: Final = str.maketrans("", "", " _-()")
_ALL: Final = {"All": True}


class SegmentCall(Record, frozen=True, gc=False):
    """One call. `at` is where it stands, for a problem's path."""

    _shown: ClassVar[tuple[str, ...]] = ("at",)

    call: Mapping[str, object]
    properties: Mapping[str, object]
    context: Mapping[str, object]
    at: str


def open_segment(event: Mapping[str, object]) -> SegmentCall | Problem:
    """Return the one call that stands alone or in a batch."""
    call = None if "type" in event or "event" in event else only_event_of(event, _BATCHES)
    if isinstance(call, Problem):
        return call
    if call is None:
        return _open(event, _NOTHING, "")
    return _open(call, event, f"{next(name for name in _BATCHES if event.get(name) is not None)}[0].")


def _open(call: Mapping[str, object], batch: Mapping[str, object], at: str) -> SegmentCall | Problem:
    properties = call.get("properties")
    if properties is None:
        properties = _NOTHING
    elif not is_object(properties):
        return Problem(path=f"{at}properties", found=kind_of(properties), expected="a JSON object")
    context = call.get("context")
    shared = batch.get("context")
    if not is_absent(context) and not is_object(context):
        return Problem(path=f"{at}context", found=kind_of(context), expected="a JSON object")
    own = context if is_object(context) else _NOTHING
    if is_object(shared):
        own = {**shared, **{name: value for name, value in own.items() if value is not None}}
    return SegmentCall(call, properties, own, at)


def keeps_from_x(event: Mapping[str, object]) -> bool:
    """Tell whether a call is meant for other destinations: `integrations` say no to X, or to all but those it names.

    The consent manager's `destinationPreferences` say the same, destination by destination.
    """
    integrations = event.get("integrations")
    if is_object(integrations) and _keeps(integrations):
        call = only_event_of(event, _BATCHES)
        own = call.get("integrations") if is_object(call) else None
        return _keeps({**integrations, **own}) if is_object(own) else True
    for name in _BATCHES:
        calls = event.get(name)
        if isinstance(calls, list) and len(calls) == 1 and is_object(calls[0]):
            own = calls[0].get("integrations")
            if is_object(own) and _keeps({**integrations, **own} if is_object(integrations) else own):
                return True
            event = calls[0]
    context = event.get("context")
    consent = context.get("consent") if is_object(context) else None
    preferences = consent.get("destinationPreferences") if is_object(consent) else None
    return is_object(preferences) and any(_is_off(value) for name, value in preferences.items() if _is_x(name))


def _keeps(integrations: Mapping[str, object]) -> bool:
    if integrations == _ALL:
        return False  # what nearly always stands there
    named = [value for name, value in integrations.items() if _is_x(name)]
    if named:
        return any(_is_off(value) for value in named)
    return any(_is_off(value) for name, value in integrations.items() if name.lower() == "all")


def _is_x(name: str) -> bool:
    return name.lower().translate(_SQUEEZED) in _X


def _is_off(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")
