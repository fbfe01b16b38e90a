"""May this event be sent? Every consent signal that an event of any dialect can carry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Literal

from xcapi_core.events.fields import is_object

__all__ = ["CONSENT_FIELDS", "Consent", "judge_consent", "may_send", "says_nothing"]


class Consent(Enum):
    """What an event, or one field of it, says."""

    YES = "yes"
    NO = "no"
    UNSAID = "unsaid"


def may_send(event: object, *, policy: Literal["respect", "require", "ignore"], categories: Sequence[str]) -> bool:
    """Tell whether the configured policy lets this event go to X."""
    if policy == "ignore":
        return True
    consent = judge_consent(event, categories=categories)
    return consent is Consent.YES or (consent is Consent.UNSAID and policy == "respect")


def says_nothing(event: object) -> bool:
    """Tell, at the price of one look at its keys, that an event has no field that could speak of consent.

    False says that `may_send` has to look closer.
    """
    return is_object(event) and _PLACES_AND_FIELDS.isdisjoint(event)


def judge_consent(event: object, *, categories: Sequence[str]) -> Consent:
    """Weigh every signal of an event: any no wins over any yes, and what cannot be read is a no.

    `categories` are the pixel's `consent_categories`, by which Segment's and RudderStack's preferences are read.
    A null says nothing: exports fill absent columns with it.
    """
    verdict = Consent.UNSAID
    for place in _places(event):
        if _FIELDS.isdisjoint(place):
            continue
        for name, read in _READERS.items():
            value = place.get(name)
            if value is None:
                continue
            said = read(value, categories)
            if said is Consent.NO:
                return said
            if said is Consent.YES:
                verdict = said
    return verdict


# Where an event keeps further fields: objects, lists of whole events (a Measurement Protocol body, a Segment batch,
# either wrapped), what has places of its own, and the parameters of a row of the BigQuery export.
_INNER_PLACES = ("user", "user_data", "params", "properties", "traits", "device")
_LISTS_OF_EVENTS = ("events", "batch", "conversions")
_CONTEXT = "context"
_EXPORTED_PARAMS = "event_params"


def _places(event: object) -> Iterator[Mapping[str, object]]:
    """Yield the objects that hold consent fields in one dialect or another, the event itself first."""
    if not is_object(event):
        return
    yield from _own_places(event)
    for name in _LISTS_OF_EVENTS:
        events = event.get(name)
        for inner in events if isinstance(events, list) else ():
            if is_object(inner):
                yield from _own_places(inner)


def _own_places(event: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    yield event
    for name in _INNER_PLACES:
        if is_object(part := event.get(name)):
            yield part
    if is_object(context := event.get(_CONTEXT)):
        yield context
        for name in ("traits", "device"):
            if is_object(part := context.get(name)):
                yield part
    params = event.get(_EXPORTED_PARAMS)
    if isinstance(params, list):
        for param in params:
            if is_object(param) and isinstance(key := param.get("key"), str) and key in _FIELDS:
                yield {key: _exported(param.get("value"))}
    elif is_object(params):
        yield params


def _exported(value: object) -> object:
    """Return what an exported parameter says; its other types' columns are null."""
    if not is_object(value):
        return value
    return next((typed for typed in value.values() if typed is not None), None)


def _any_no_wins(said: Sequence[Consent]) -> Consent:
    if Consent.NO in said:
        return Consent.NO
    return Consent.YES if Consent.YES in said else Consent.UNSAID


_YES_WORDS = frozenset({"granted", "allowed", "true", "yes", "1"})


def _plain(value: object, _categories: Sequence[str] = ()) -> Consent:
    """Read one answer: true, 1, "granted" and the like are a yes; everything but those is a no."""
    match value:
        case bool():
            granted = value
        case str():
            granted = value.strip().lower() in _YES_WORDS
        case Decimal():
            granted = value.is_finite() and value == 1
        case _:
            granted = value == 1
    return Consent.YES if granted else Consent.NO


def _flag(value: object, _categories: Sequence[str]) -> Consent:
    """Read an opt-out: only a plain false takes it back, and that says no more than that."""
    match value:
        case bool():
            out = value
        case str():
            out = value.strip().lower() not in {"false", "no", "0"}
        case Decimal():
            out = not (value.is_finite() and value == 0)
        case _:
            out = value != 0
    return Consent.NO if out else Consent.UNSAID


def _limited(value: object, _categories: Sequence[str]) -> Consent:
    """Read a device's own setting, that its user wants no tracking; what an SDK could not tell says nothing."""
    limited = value is True or (isinstance(value, str) and value.strip().lower() in {"yes", "true", "1"})
    return Consent.NO if limited else Consent.UNSAID


def _tracking_enabled(value: object, _categories: Sequence[str]) -> Consent:
    """Read the same setting the other way round, as Segment's mobile libraries send it."""
    enabled = not (value is False or (isinstance(value, str) and value.strip().lower() == "false"))
    return Consent.UNSAID if enabled else Consent.NO


# Consent Mode's types that are about advertising data.
_AD_TYPES = ("ad_storage", "ad_user_data")
# What a readable consent object holds at least one of: Consent Mode's types, or Segment's categories.
_READABLE = frozenset(
    {
        *_AD_TYPES,
        "ad_personalization",
        "analytics_storage",
        "categoryPreferences",
        "functionality_storage",
        "personalization_storage",
        "security_storage",
    }
)


def _consent(value: object, categories: Sequence[str]) -> Consent:
    """Read a `consent` or `consent_state` field: one answer, Consent Mode's object, or Segment's categories."""
    if not is_object(value):
        return _plain(value)
    if value and _READABLE.isdisjoint(value):
        return Consent.NO  # {"marketing": false} says something, and nobody here can tell what
    said = [_plain(value[name]) for name in _AD_TYPES if value.get(name) is not None]
    if (preferences := value.get("categoryPreferences")) is not None:
        said.append(_category_preferences(preferences, categories))
    return _any_no_wins(said)


def _category_preferences(preferences: object, categories: Sequence[str]) -> Consent:
    """Read Segment's `categoryPreferences`: {category: bool}."""
    if not categories:
        return Consent.UNSAID
    if not is_object(preferences):
        return Consent.NO
    said = [_plain(preferences[category]) for category in categories if preferences.get(category) is not None]
    if Consent.NO in said:
        return Consent.NO
    return Consent.YES if len(said) == len(categories) else Consent.UNSAID


def _consent_management(value: object, categories: Sequence[str]) -> Consent:
    """Read RudderStack's `consentManagement`: {allowedConsentIds, deniedConsentIds}."""
    if not categories:
        return Consent.UNSAID
    if not is_object(value):
        return Consent.NO
    allowed, denied = _ids(value.get("allowedConsentIds")), _ids(value.get("deniedConsentIds"))
    if allowed is None or denied is None or not denied.isdisjoint(categories):
        return Consent.NO
    return Consent.YES if allowed.issuperset(categories) else Consent.UNSAID


def _ids(value: object) -> set[str] | None:
    """Return the ids of a list, or of an object's keys (some providers' form); None where there are none to read."""
    if value is None:
        return set()
    if isinstance(value, list | dict):
        return {item for item in value if isinstance(item, str)}
    return None


def _gcs(value: object, _categories: Sequence[str]) -> Consent:
    """Read Google's consent status, `G1` and one character a type, of which the first is `ad_storage`."""
    text = value.strip().upper() if isinstance(value, str) else ""
    if not text.startswith("G1"):
        return Consent.NO
    return {"1": Consent.YES, "-": Consent.UNSAID}.get(text[2:3], Consent.NO)


_GCD_SAYS = {**dict.fromkeys("nrtv", Consent.YES), "l": Consent.UNSAID}


def _gcd(value: object, _categories: Sequence[str]) -> Consent:
    """Read Google's consent defaults: `ad_storage` at index 2, `ad_user_data` at index 6."""
    text = value.strip() if isinstance(value, str) else ""
    return _any_no_wins([_GCD_SAYS.get(text[index : index + 1], Consent.NO) for index in (2, 6)])


def _privacy_info(value: object, _categories: Sequence[str]) -> Consent:
    """Read the BigQuery export's `privacy_info`; its `ads_storage` is Yes, No or Unset."""
    if not is_object(value):
        return Consent.NO
    ads_storage = value.get("ads_storage")
    if ads_storage is None or (isinstance(ads_storage, str) and ads_storage.strip().lower() == "unset"):
        return Consent.UNSAID
    return _plain(ads_storage)


def _us_privacy(value: object, _categories: Sequence[str]) -> Consent:
    """Read the IAB's US privacy string; its third character is the opt-out of sale."""
    text = value.strip().upper() if isinstance(value, str) else ""
    return Consent.UNSAID if text[2:3] in {"N", "-"} else Consent.NO


_READERS: Mapping[str, Callable[[object, Sequence[str]], Consent]] = {
    "consent": _consent,
    "consent_state": _consent,
    "ad_storage": _plain,
    "ad_user_data": _plain,
    "opt_out": _flag,
    "limit_ad_tracking": _flag,
    "is_limited_ad_tracking": _limited,  # the BigQuery export's device
    "adTrackingEnabled": _tracking_enabled,  # Segment's context.device
    "gpc": _flag,
    "gcs": _gcs,
    "x-ga-gcs": _gcs,
    "gcd": _gcd,
    "x-ga-gcd": _gcd,
    "privacy_info": _privacy_info,
    "us_privacy": _us_privacy,
    "x-ga-us_privacy": _us_privacy,
    "consentManagement": _consent_management,
}
_FIELDS = frozenset(_READERS)
_PLACES_AND_FIELDS = _FIELDS.union(_INNER_PLACES, _LISTS_OF_EVENTS, (_CONTEXT, _EXPORTED_PARAMS))
CONSENT_FIELDS = _FIELDS
