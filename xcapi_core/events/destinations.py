"""Whether a call of Segment's or RudderStack's is meant for X among its destinations."""

from collections.abc import Mapping
from typing import Final

from xcapi_core.events.fields import is_object
from xcapi_core.events.shapes import as_object

__all__ = ["keeps_from_x"]

# X's destinations, as Segment's and RudderStack's catalogues name them, without case, spaces and underscores.
_X: Final = frozenset(
    {"x", "xads", "xconversions", "xconversionsapi", "twitter", "twitterads", "twitterconversions", "twitterpixel"}
)
_SQUEEZED: Final = str.maketrans("", "", " _-()")
_ALL: Final = {"All": True}


def keeps_from_x(call: Mapping[str, object], batch: Mapping[str, object], context: Mapping[str, object]) -> bool:
    """Tell whether a call is meant for other destinations: `integrations` say no to X, or to all but those it names.

    The call's own `integrations` win over its batch's. The consent manager's `destinationPreferences` in its context
    say the same, destination by destination.
    """
    shared, own = batch.get("integrations"), call.get("integrations")
    if shared is not None or (own is not None and own != _ALL):
        shared, own = as_object(shared), as_object(own)
        integrations = {**(shared if is_object(shared) else {}), **(own if is_object(own) else {})}
        if integrations and _keeps(integrations):
            return True
    consent = context.get("consent")
    if consent is None:
        return False
    consent = as_object(consent)
    preferences = as_object(consent.get("destinationPreferences")) if is_object(consent) else None
    return is_object(preferences) and any(_is_off(value) for name, value in preferences.items() if _is_x(name))


def _keeps(integrations: Mapping[str, object]) -> bool:
    named = [value for name, value in integrations.items() if _is_x(name)]
    if named:
        return any(_is_off(value) for value in named)
    return any(_is_off(value) for name, value in integrations.items() if name.lower() == "all")


def _is_x(name: str) -> bool:
    return name.lower().translate(_SQUEEZED) in _X


def _is_off(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")
