"""The straight way of `segment`: a track call, as analytics.js, its servers and Segment's destinations write it."""

from decimal import Decimal
from typing import Final, Literal

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.pages import click_id_of_query, click_id_of_url
from xcapi_core.events.straight_writer import (
    UNWANTED,
    Line,
    NotStraightError,
    Parts,
    Text,
    Writers,
    page_of,
    silent_except,
)
from xcapi_core.outcomes import Skipped

__all__ = ["read_straight_segment"]

_PLACES: Final = ("user", "user_data", "params", "device", "events", "batch", "event_params")
_PERSON: Final = ("email", "phone", "hashed_email", "hashed_phone_number")
_CLICK: Final = ("twclid", "_twclid")
_KEYS: Final = ("conversion_id", "transaction_id", "order_id")


class _Traits(silent_except(("email", "phone"), (*_PERSON, *_CLICK)), msgspec.Struct, gc=False):  # type: ignore[misc]  # from a list
    email: str | None = None
    phone: str | None = None


class _Device(silent_except(("adTrackingEnabled",), ()), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    adTrackingEnabled: Literal["true"] | bool | None = None  # noqa: N815 - Segment's name


class _Page(silent_except((), ("event_source_url",)), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    url: str | None = None
    search: str | None = None


class _Campaign(silent_except((), _CLICK), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    """Of a campaign, only a click id would be looked at."""


class _Context(silent_except((), _CLICK), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    ip: str | None = None
    userAgent: str | None = None  # noqa: N815 - Segment's name
    page: _Page | None = None
    campaign: _Campaign | None = None
    traits: _Traits | None = None
    device: _Device | None = None


class _Properties(silent_except((), ("pixel_id", "contents", "_twclid", "messageId")), msgspec.Struct, gc=False):  # type: ignore[misc]  # as above
    conversion_id: Text = None
    transaction_id: Text = None
    order_id: Text = None
    revenue: object = None
    value: object = None
    total: object = None
    price: object = None
    currency: str | None = None
    products: list[Line] | None = None
    product_id: object = None
    sku: object = None
    query: str | None = None
    twclid: str | None = None
    email: object = None
    phone: object = None
    hashed_email: object = None
    hashed_phone_number: object = None
    url: object = None
    search: object = None
    event_source_url: object = None


_CALL: Final = (*_PLACES, *_CLICK, *_KEYS, "pixel_id")


class _Call(silent_except((), _CALL), msgspec.Struct, kw_only=True, gc=False):  # type: ignore[misc]  # as above
    type: Literal["track"]
    event: str
    properties: _Properties | None = None
    context: _Context | None = None
    traits: _Traits | None = None
    messageId: str | None = None  # noqa: N815 - Segment's name
    timestamp: Text = None
    originalTimestamp: Text = None  # noqa: N815 - Segment's name
    request_ip: str | None = None
    integrations: dict[str, object] | None = None


_decode: Final = msgspec.json.Decoder(_Call, float_hook=Decimal).decode
_EVERYBODY: Final = {"All": True}
_NO_CONTEXT: Final = _Context()
_NO_PROPERTIES: Final = _Properties()
_NO_PAGE: Final = _Page()


def read_straight_segment(event_bytes: bytes, writers: Writers) -> Conversion | Skipped:
    """Read a straight call. Raises NotStraightError and what a decoder raises."""
    call = _decode(event_bytes)
    context = call.context or _NO_CONTEXT
    if (call.integrations and call.integrations != _EVERYBODY) or (
        context.device is not None and context.device.adTrackingEnabled is False
    ):
        raise NotStraightError
    writer = writers[None]
    tag = writer.tag(call.event)
    if tag is None:
        return UNWANTED
    properties = call.properties or _NO_PROPERTIES
    page = context.page or _NO_PAGE
    parts = Parts(
        properties.conversion_id or properties.transaction_id or properties.order_id or call.messageId,
        call.timestamp or call.originalTimestamp,
        twclid=properties.twclid or click_id_of_url(page.url) or click_id_of_query(page.search),
        ip_address=context.ip or call.request_ip,
        user_agent=context.userAgent,
        value=_amount(properties),
        currency=properties.currency,
        lines=properties.products,
        url=page_of(page.url),
        search=properties.query,
    )
    _add_person(parts, call.traits, context.traits)
    if not (parts.email or parts.phone) and _names_somebody(properties):
        raise NotStraightError
    if not parts.twclid and (properties.url or properties.search or properties.event_source_url):
        raise NotStraightError
    if not parts.lines and (properties.product_id is not None or properties.sku is not None):
        raise NotStraightError  # the properties are the product
    return writer.write(tag, parts)


def _amount(properties: _Properties) -> object:
    for amount in (properties.revenue, properties.value, properties.total):
        if amount is not None:
            return amount
    if properties.price is not None:
        raise NotStraightError
    return None


def _add_person(parts: Parts, first: _Traits | None, second: _Traits | None) -> None:
    if first is not None and second is not None:
        raise NotStraightError
    traits = first or second
    if traits is not None:
        parts.email, parts.phone = traits.email, traits.phone


def _names_somebody(properties: _Properties) -> bool:
    given = (properties.email, properties.phone, properties.hashed_email, properties.hashed_phone_number)
    return any(value is not None for value in given)
