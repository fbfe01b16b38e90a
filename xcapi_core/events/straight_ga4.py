"""The straight way of `ga4`: event data, rows of the export and bodies of one event, as their tools write them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.consent import CONSENT_FIELDS
from xcapi_core.events.drops import Drop
from xcapi_core.events.identifiers import read_digest
from xcapi_core.events.pages import click_id_of_url
from xcapi_core.events.straight_writer import (
    UNWANTED,
    Line,
    NotStraightError,
    Parts,
    StraightWriter,
    Text,
    Writers,
    page_of,
    silent_except,
)
from xcapi_core.outcomes import Skipped

__all__ = ["read_straight_ga4"]

# Every field that the thorough reader looks at, in an event, its parameters or its user data.
_USED: Final = frozenset(
    """
    pixel_id user user_data properties traits device context batch events conversions params event_params event_name
    conversion_id transaction_id order_id event_id timestamp_micros event_timestamp conversion_time event_time timestamp
    twclid _twclid email email_address phone phone_number hashed_email hashed_phone_number sha256_email_address
    sha256_phone_number ip_override ip_address user_agent value currency items ecommerce page_location event_source_url
    search_term
    """.split()  # noqa: SIM905 - as a list it takes a screen
)
_SALE: Final = ("conversion_id", "transaction_id", "order_id", "event_id", "value", "currency", "items", "twclid")
_PAGE: Final = ("page_location", "search_term")
_PERSON: Final = ("email_address", "phone_number", "sha256_email_address", "sha256_phone_number")
_BROWSER: Final = ("ip_override", "ip_address", "user_agent")
_TOP: Final = (
    *_SALE,
    *_PAGE,
    *_BROWSER,
    "event_name",
    "event_params",
    "events",
    "params",
    "email",
    "phone",
    "user_data",
)
_TOP_TOO: Final = ("timestamp_micros", "event_timestamp", "timestamp", "ecommerce", "device")
_TOP_CONSENT: Final = ("consent", "x-ga-gcs", "x-ga-gcd", "privacy_info")
# At the two places of "gcd" that are about advertising: what is no refusal.
_NO_REFUSAL: Final = frozenset("nrtvl")
_SHORTEST_GCD: Final = 7
_UNSET: Final = msgspec.UNSET
_Granted = Literal["GRANTED", "granted"] | None
_Digest = str | list[str] | None


class _Consent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ad_user_data: _Granted = None
    ad_storage: _Granted = None
    ad_personalization: object = None
    analytics_storage: object = None


class _Privacy(msgspec.Struct, gc=False):
    ads_storage: Literal["Yes"] | None = None


class _Device(silent_except(("is_limited_ad_tracking",), ()), msgspec.Struct, gc=False):  # type: ignore[misc]  # made from a list
    is_limited_ad_tracking: Literal["No", "no", "false"] | None = None


class _User(silent_except(_PERSON, _USED), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    email_address: str | None = None
    phone_number: str | None = None
    sha256_email_address: _Digest = None
    sha256_phone_number: _Digest = None


class _Params(silent_except((*_SALE, *_PAGE), _USED), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    conversion_id: Text = None
    transaction_id: Text = None
    order_id: Text = None
    event_id: Text = None
    value: object = None
    currency: str | None = None
    items: list[Line] | None = None
    twclid: str | None = None
    page_location: str | None = None
    search_term: str | None = None


class _Inner(silent_except(("params", "timestamp_micros"), _USED), msgspec.Struct, kw_only=True, gc=False):  # type: ignore[misc]
    name: str
    params: _Params
    timestamp_micros: Text = None


class _Value(msgspec.Struct, gc=False):
    string_value: str | None = None
    int_value: Text = None
    double_value: object = None
    float_value: object = None


class _Row(msgspec.Struct, gc=False):
    key: str
    value: _Value


class _Ecommerce(msgspec.Struct, gc=False):
    conversion_id: None = None
    transaction_id: Text = None
    order_id: None = None
    event_id: None = None
    purchase_revenue: object = None
    currency: None = None
    items: None = None


class _Event(silent_except((*_TOP, *_TOP_TOO, *_TOP_CONSENT), _USED), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    # With any of these three, null or not, it is no body.
    event_name: str | msgspec.UnsetType | None = msgspec.UNSET
    name: object = msgspec.UNSET
    params: msgspec.UnsetType | None = msgspec.UNSET
    events: list[_Inner] | None = None
    event_params: list[_Row] | None = None
    timestamp_micros: Text = None
    event_timestamp: Text = None
    timestamp: Text = None
    conversion_id: Text = None
    transaction_id: Text = None
    order_id: Text = None
    event_id: Text = None
    value: object = None
    currency: str | None = None
    items: list[Line] | None = None
    ecommerce: _Ecommerce | None = None
    twclid: str | None = None
    page_location: str | None = None
    search_term: str | None = None
    user_data: _User | None = None
    email: str | None = None
    phone: str | None = None
    ip_override: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    device: _Device | None = None
    consent: _Consent | None = None
    privacy_info: _Privacy | None = None
    gcs: Literal["G111", "G110"] | None = msgspec.field(name="x-ga-gcs", default=None)
    gcd: str | None = msgspec.field(name="x-ga-gcd", default=None)


_decode: Final = msgspec.json.Decoder(_Event, float_hook=Decimal).decode
# What a parameter of a row may be; any other that the thorough reader looks at is to be weighed.
_READ: Final = frozenset({*_SALE, *_PAGE} - {"items"})
_WEIGHED: Final = (_USED | CONSENT_FIELDS) - _READ


def read_straight_ga4(event_bytes: bytes, writers: Writers) -> Conversion | Skipped:
    """Read a straight event. Raises NotStraightError and what a decoder raises."""
    event = _decode(event_bytes)
    writer = writers[None]
    if event.gcd is not None and not _is_no_refusal(event.gcd):
        raise NotStraightError
    if event.events is not None:
        return _read_body(event, event.events, writer)
    if not isinstance(event.event_name, str) or not event.event_name:
        raise NotStraightError
    tag = writer.tag(event.event_name)
    if event.event_params is not None:
        _take_params(event, event.event_params)
    if tag is None:
        return UNWANTED
    parts = _parts(event, event.timestamp_micros or event.event_timestamp or event.timestamp, event)
    if event.ecommerce is not None:
        _add_sale(parts, event, event.ecommerce)
    return writer.write(tag, parts)


def _is_no_refusal(gcd: str) -> bool:
    return len(gcd) >= _SHORTEST_GCD and gcd[0] == "1" and gcd[2] in _NO_REFUSAL and gcd[6] in _NO_REFUSAL


def _read_body(event: _Event, events: Sequence[_Inner], writer: StraightWriter) -> Conversion | Skipped:
    is_event = event.event_name is not _UNSET or event.name is not _UNSET or event.params is not _UNSET
    # What a body says of a sale is nobody's: its events say it.
    if len(events) != 1 or is_event or event.event_params is not None or _says_something(event):
        raise NotStraightError
    inner = events[0]
    if not inner.name:
        raise NotStraightError
    tag = writer.tag(inner.name)
    if tag is None:
        return UNWANTED
    return writer.write(tag, _parts(inner.params, inner.timestamp_micros or event.timestamp_micros, event))


def _says_something(event: _Event) -> bool:
    said = (event.conversion_id, event.transaction_id, event.order_id, event.event_id, event.value, event.currency)
    more = (event.items, event.search_term, event.email, event.phone, event.ip_address, event.event_timestamp)
    rest = (event.timestamp, event.twclid, event.page_location, event.ecommerce)
    return any(value is not None for value in (*said, *more, *rest))


def _parts(sale: _Event | _Params, time: Text, around: _Event) -> Parts:
    """Return what there is to write: the sale's own, and the person and the browser of what stands around it."""
    key = sale.conversion_id or sale.transaction_id or sale.order_id or sale.event_id
    if key.__class__ is str and (key is sale.event_id) and str(key)[:3].lower() == "tw-":
        raise NotStraightError
    parts = Parts(
        key,
        time,
        twclid=sale.twclid or click_id_of_url(sale.page_location),
        ip_address=around.ip_override or around.ip_address,
        user_agent=around.user_agent,
        value=sale.value,
        currency=sale.currency,
        lines=sale.items,
        url=page_of(sale.page_location),
        search=sale.search_term,
        email=around.email,
        phone=around.phone,
    )
    user = around.user_data
    if user is not None:
        if parts.email or parts.phone:
            raise NotStraightError
        parts.email, parts.phone = user.email_address, user.phone_number
        if user.sha256_email_address:
            parts.digest_of_email = _digest(parts.email, user.sha256_email_address)
        if user.sha256_phone_number:
            parts.digest_of_phone = _digest(parts.phone, user.sha256_phone_number)
    return parts


def _digest(plain: str | None, given: str | list[str]) -> str:
    """Return the one digest, where there is no plain value beside it."""
    text = given if isinstance(given, str) else given[0] if len(given) == 1 else ""
    digest = read_digest(text, Drop.INVALID_HASHED_EMAIL)
    if plain or isinstance(digest, Drop):
        raise NotStraightError
    return digest


def _add_sale(parts: Parts, event: _Event, ecommerce: _Ecommerce) -> None:
    if parts.value is None:
        parts.value = ecommerce.purchase_revenue
    if not (event.conversion_id or event.transaction_id):
        # Before an order_id or an event_id; and "(not set)" is to be weighed.
        parts.key = ecommerce.transaction_id or parts.key


def _take_params(event: _Event, rows: Iterable[_Row]) -> None:
    """Put a row's parameters where event data has them: they win."""
    for row in rows:
        key = row.key
        if key in _READ:
            value: Any = row.value
            for given in (value.string_value, value.int_value, value.double_value, value.float_value):
                if given is not None:
                    _take(event, key, given)
                    break
        elif key in _WEIGHED:
            raise NotStraightError


def _take(event: _Event, key: str, given: object) -> None:
    if key == "value":
        event.value = given
    elif isinstance(given, str):
        setattr(event, key, given)
    else:
        raise NotStraightError
