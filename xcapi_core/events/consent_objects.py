"""What a consent signal says: the table of their names, and how those are read that are objects or lists."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from xcapi_core.events.consent_values import (
    Consent,
    ids_in,
    opened_json,
    read_ads_storage,
    read_answer,
    read_gcd,
    read_gcs,
    read_opt_out,
    read_tracking_enabled,
    read_us_privacy,
    squeezed,
    typed_values,
)
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, is_object

__all__ = ["SIGNALS", "UNREADABLE"]

UNREADABLE: Final = "unreadable_consent"
_CATEGORIES_MISSING: Final = "consent_categories_missing"
_UNREAD: Final = Drop.UNREAD_CONSENT.value


class SignalReading(Protocol):
    """The reading of one event's signals, of which this one is a part.

    `categories` are the pixel's.
    """

    categories: frozenset[str]

    def add_place(self, place: Mapping[str, object]) -> None:
        """Add an object whose fields may be signals."""

    def doubt_unread(self, place: Mapping[str, object]) -> None:
        """Look for refusals in the fields of an object that are no signals."""

    def refuse(self, code: str) -> Consent:
        """Take something for a no, and count why."""

    def note(self, code: str) -> Consent:
        """Count something that says nothing."""


def _by_value(read: Callable[[object], Consent | None]) -> "_SignalReader":
    """Return the reader of a signal that its value alone decides; what cannot be read is a no."""

    def reader(reading: SignalReading, value: object) -> Consent:
        said = read(value)
        return reading.refuse(UNREADABLE) if said is None else said

    return reader


_answer = _by_value(read_answer)


def _consent(reading: SignalReading, value: object) -> Consent:
    """Read `consent` or `consent_state`: one answer, or an object of Consent Mode's types or Segment's categories."""
    value = opened_json(value)
    if not is_object(value):
        return _answer(reading, value)
    if _READABLE_CONSENT.isdisjoint(map(squeezed, value)):
        return reading.refuse(UNREADABLE)  # {"marketing": false} says something that is not understood
    reading.add_place(value)
    reading.doubt_unread(value)  # {"ad_storage": "granted", "update": {"ad_storage": "denied"}}
    return Consent.UNSAID


def _category_preferences(reading: SignalReading, value: object) -> Consent:
    """Read Segment's `categoryPreferences`: {category: bool}."""
    value = opened_json(value)
    if not is_object(value) or not value:
        return reading.refuse(UNREADABLE)
    asked = reading.categories
    said: dict[str, list[Consent]] = {}
    for category, preference in value.items():
        values = typed_values(preference)
        if any(value and isinstance(opened_json(value), list | dict) for value in values):
            return reading.refuse(UNREADABLE)  # a list of preferences, or something else that holds some
        if preference is not None and (not asked or squeezed(category) in asked):
            answers = said.setdefault(squeezed(category), [])
            answers += [_answer(reading, value) for value in values]
    if any(Consent.NO in answers for answers in said.values()):
        return Consent.NO if asked else reading.refuse(_CATEGORIES_MISSING)
    return Consent.YES if asked and all(said.get(category) for category in asked) else Consent.UNSAID


def _consent_management(reading: SignalReading, value: object) -> Consent:
    """Read RudderStack's `consentManagement`, whose lists are signals of their own."""
    value = opened_json(value)
    if not is_object(value) or _READABLE_MANAGEMENT.isdisjoint(map(squeezed, value)):
        return reading.refuse(UNREADABLE)
    reading.add_place(value)
    return Consent.UNSAID


def _allowed_ids(reading: SignalReading, value: object) -> Consent:
    ids = ids_in(value, of_grant=True)
    if not ids:
        return reading.refuse(UNREADABLE)
    return Consent.YES if reading.categories and ids >= reading.categories else Consent.UNSAID


def _denied_ids(reading: SignalReading, value: object) -> Consent:
    ids = set() if isinstance(value, str) and is_absent(value) else ids_in(value, of_grant=False)
    if ids is None:
        return reading.refuse(UNREADABLE)
    if ids and not reading.categories:
        return reading.refuse(_CATEGORIES_MISSING)
    return Consent.UNSAID if ids.isdisjoint(reading.categories) else Consent.NO


def _privacy_info(reading: SignalReading, value: object) -> Consent:
    """Read the BigQuery export's `privacy_info`, of which an export without nulls may leave an empty object."""
    value = opened_json(value)
    if is_object(value):
        reading.add_place(value)
    elif value != []:
        return reading.refuse(UNREADABLE)
    return Consent.UNSAID


def _uninterpreted(reading: SignalReading, value: object) -> Consent:
    return Consent.UNSAID if is_absent(value) or value in ([], {}) else reading.note(_UNREAD)


_SignalReader = Callable[[SignalReading, object], Consent]
SIGNALS: Final[Mapping[str, _SignalReader]] = {
    "consent": _consent,
    "consentstate": _consent,
    "adstorage": _answer,
    "aduserdata": _answer,
    "optout": _by_value(read_opt_out),
    "limitadtracking": _by_value(read_opt_out),
    "islimitedadtracking": _by_value(read_opt_out),  # the BigQuery export's device
    "gpc": _by_value(read_opt_out),
    "nonpersonalizedads": _by_value(read_opt_out),  # the Measurement Protocol's
    "adtrackingenabled": _by_value(read_tracking_enabled),  # Segment's context.device
    "gcs": _by_value(read_gcs),
    "gcd": _by_value(read_gcd),
    "usprivacy": _by_value(read_us_privacy),
    "privacyinfo": _privacy_info,
    "adsstorage": _by_value(read_ads_storage),
    "categorypreferences": _category_preferences,
    "consentmanagement": _consent_management,
    "allowedconsentids": _allowed_ids,
    "deniedconsentids": _denied_ids,
    **dict.fromkeys(("dataprocessingoptions", "dnt", "gdprconsent", "gpp"), _uninterpreted),
}
# What a readable consent object holds at least one of.
_READABLE_CONSENT: Final = frozenset(
    {*SIGNALS, "adpersonalization", "analyticsstorage", "functionalitystorage", "personalizationstorage"}
    | {"securitystorage", "destinationpreferences"}
)
_READABLE_MANAGEMENT: Final = frozenset({"allowedconsentids", "deniedconsentids", "provider", "resolutionstrategy"})
