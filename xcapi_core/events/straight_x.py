"""The straight way of `x`: what publishers of their own events send in bulk.

Its decoder forbids unknown fields, which tells at no cost that nothing else is there: no consent field, no `user`, no
list of identifiers, no `event_name` that would make it another dialect's.
"""

from decimal import Decimal
from typing import Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.fields import is_url, read_text
from xcapi_core.events.straight_writer import Line, NotStraightError, Parts, Text, Writers, usable

__all__ = ["read_straight_x"]


# Of two names of one thing, the first that says something counts. None of these values is false but blank text, which
# says nothing: `first or second` is then that rule.
class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: str
    pixel_id: Text = None
    conversion_id: Text = None
    transaction_id: Text = None
    order_id: Text = None
    conversion_time: Text = None
    time: Text = None
    timestamp: Text = None
    twclid: str | None = None
    email: str | None = None
    phone: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    value: object = None
    price_currency: str | None = None
    currency: str | None = None
    contents: list[Line] | None = None
    items: list[Line] | None = None
    products: list[Line] | None = None
    event_source_url: str | None = None
    search_string: str | None = None


_decode: Final = msgspec.json.Decoder(_Event, float_hook=Decimal).decode


def read_straight_x(event_bytes: bytes, writers: Writers) -> Conversion:
    """Read a straight event. Raises NotStraightError and what a decoder raises."""
    event = _decode(event_bytes)
    writer = writers[event.pixel_id]
    tag = writer.tag(event.event)
    if tag is None:
        raise NotStraightError  # a name that the pixel does not list is its publisher's mistake
    parts = Parts(
        event.conversion_id or event.transaction_id or event.order_id,
        event.conversion_time or event.time or event.timestamp,
        event.twclid,
        event.email,
        event.phone,
        event.ip_address,
        event.user_agent,
        event.value,
        event.price_currency or event.currency,
        event.contents or event.items or event.products,
        search=event.search_string,
    )
    if event.event_source_url is not None:
        parts.url = _url(event.event_source_url)
    return writer.write(tag, parts)


def _url(given: str) -> str:
    url = usable(read_text(given))
    if not is_url(url):
        raise NotStraightError
    return url
