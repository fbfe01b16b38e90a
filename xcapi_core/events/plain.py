"""Plain `x` events: what publishers send in bulk, read with next to nothing to weigh.

A plain event says each thing once, at the top, under one of a few names. Decoding straight into these names tells at no
cost that nothing else is there: no consent field, no `user`, no list of identifiers. Whatever is not plain, or not
usable as it stands, is declined and read by `events.x`, which alone knows all the rules. The values are read by the
same functions there and here, so that this module may decline anything, but never says something else than `events.x`
would (docs/adr/0009-plain-events.md).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.drops import Drop
from xcapi_core.events.contents import LARGEST_SUM
from xcapi_core.events.tags import belongs_to
from xcapi_core.events.wire import NO_LINE, WireConversion, WireIdentifier, WireLine, encode
from xcapi_core.identifiers import hash_email, hash_phone, read_ip_address, read_twclid
from xcapi_core.money import read_amount, read_count, read_currency, wire_amount
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.times import read_time, wire_time
from xcapi_core.values import is_url, read_text

__all__ = ["PlainReader"]

# Of two names of one thing, the first that says something counts. None of these values is false but blank text, which
# says nothing: `first or second` is then that rule.
_Number = Annotated[int, msgspec.Meta(ge=1)]
_Text = str | _Number | None


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content_id: _Text = None
    item_id: _Text = None
    content_name: _Text = None
    item_name: _Text = None
    content_type: _Text = None
    item_category: _Text = None
    content_price: object = None
    price: object = None
    num_items: _Text = None
    quantity: _Text = None


class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: str
    conversion_id: _Text = None
    transaction_id: _Text = None
    order_id: _Text = None
    conversion_time: _Text = None
    time: _Text = None
    timestamp: _Text = None
    twclid: str | None = None
    email: str | None = None
    phone: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    value: object = None
    price_currency: str | None = None
    currency: str | None = None
    contents: list[_Line] | None = None
    items: list[_Line] | None = None
    products: list[_Line] | None = None
    event_source_url: str | None = None


_decode = msgspec.json.Decoder(_Event, float_hook=Decimal).decode
_NOT_PLAIN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError, ValueError)


class _NotPlainError(Exception):
    """Here is something to weigh."""


class PlainReader:
    """Reads the plain events of one message for one pixel."""

    def __init__(
        self,
        pixel: PixelSettings,
        settings: Settings,
        *,
        publish_time: Callable[[], datetime],
        received_at: datetime,
    ) -> None:
        self._pixel = pixel
        self._tags: dict[str, str] = {}
        self._phone_region = settings.default_phone_region
        self._currency = settings.default_currency
        self._publish_time = publish_time
        hours = settings.max_event_age_hours
        self._not_before = None if hours is None else received_at - timedelta(hours=hours)
        # A plain event names neither its consent nor other keys of its own.
        self.is_of_use = settings.consent != "require" and pixel.conversion_id_from is None

    def read(self, event_bytes: bytes) -> Conversion | None:
        """Return the conversion of a plain event, None for any other. Never raises."""
        try:
            return self._convert(_decode(event_bytes))
        except (_NotPlainError, *_NOT_PLAIN):
            return None

    def _convert(self, event: _Event) -> Conversion:
        tag = self._tags.get(event.event) or self._look_up(event.event)
        given = event.conversion_time or event.time or event.timestamp
        time = read_time(given) if given else self._publish_time()
        key = read_text(event.conversion_id or event.transaction_id or event.order_id)
        if time is None or key is None or (self._not_before and time < self._not_before):
            raise _NotPlainError
        wire = WireConversion(wire_time(time), tag, (self._read_identifier(event),), key)
        if event.value is not None:
            self._add_money(wire, event)
        elif event.price_currency or event.currency:
            raise _NotPlainError
        lines = event.contents or event.items or event.products
        if lines:
            _add_lines(wire, lines)
        if event.event_source_url is not None:
            url = read_text(event.event_source_url)
            if url is None or not is_url(url):
                raise _NotPlainError
            wire.event_source_url = url
        return Conversion(pixel_id=self._pixel.pixel_id, event_tag=tag, conversion_id=key, wire=encode(wire))

    def _look_up(self, name: str) -> str:
        tag = self._pixel.event_ids.get(name)
        if tag is None or read_text(name) != name or not belongs_to(tag, self._pixel.pixel_id):
            raise _NotPlainError
        self._tags[name] = tag
        return tag

    def _read_identifier(self, event: _Event) -> WireIdentifier:
        """Return the one identifier object of a plain event, as `identity.stands_alone` wants it."""
        identifier = WireIdentifier()
        # Nearly every event has these two: what `_usable` does, without the call.
        if event.twclid is not None:
            twclid = read_twclid(event.twclid)
            if isinstance(twclid, Drop):
                raise _NotPlainError
            identifier.twclid = twclid
        if event.email is not None:
            digest = hash_email(event.email)
            if isinstance(digest, Drop):
                raise _NotPlainError
            identifier.hashed_email = digest
        if event.phone is not None:
            identifier.hashed_phone_number = _usable(hash_phone(_usable(read_text(event.phone)), self._phone_region))
        if event.ip_address is not None:
            identifier.ip_address = _usable(read_ip_address(event.ip_address.strip()))
        if event.user_agent is not None:
            identifier.user_agent = _usable(read_text(event.user_agent))
        if not identifier.stands_alone():
            raise _NotPlainError
        return identifier

    def _add_money(self, wire: WireConversion, event: _Event) -> None:
        amount = read_amount(event.value)
        given = event.price_currency or event.currency
        currency = read_currency(given) if given else self._currency
        if amount is None or currency is None:
            raise _NotPlainError
        wire.value = wire_amount(amount)
        wire.price_currency = currency


def _add_lines(wire: WireConversion, lines: list[_Line]) -> None:
    wire.contents = [_read_line(line) for line in lines]
    total = 0
    for line in wire.contents:
        total += line.num_items or 0
    if total > LARGEST_SUM:
        raise _NotPlainError
    wire.number_items = total or None


def _read_line(line: _Line) -> WireLine:
    read = WireLine()
    if given := line.content_id or line.item_id:
        read.content_id = _usable(read_text(given))
    if given := line.content_name or line.item_name:
        read.content_name = _usable(read_text(given))
    if given := line.content_type or line.item_category:
        read.content_type = _usable(read_text(given))
    price = line.price if line.content_price is None else line.content_price
    if price is not None:
        amount = read_amount(price)
        if amount is None:
            raise _NotPlainError
        read.content_price = wire_amount(amount)
    if given := line.num_items or line.quantity:
        read.num_items = read_count(given)
        if read.num_items is None:
            raise _NotPlainError
    if read == NO_LINE:
        raise _NotPlainError
    return read


def _usable(text: str | Drop | None) -> str:
    if not isinstance(text, str):
        raise _NotPlainError
    return text
