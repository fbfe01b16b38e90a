"""The straight way for what GA4 and Segment send in bulk: decoded into the few fields that matter, and nothing else.

An event is straight where each thing is said once, in the ordinary place and type. Fields that speak of consent, or
that only the thorough reader weighs, are declared as null: whoever fills one is declined by the decoder itself, at no
cost for all others. What is declined goes to `events.ga4` and `events.segment`, which alone know all the rules; the
values are read by the same functions there and here. So these readers may decline anything, but never say something
else.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from xcapi_core.consent import CONSENT_FIELDS
from xcapi_core.conversions import Conversion
from xcapi_core.drops import Drop
from xcapi_core.events.contents import LARGEST_SUM
from xcapi_core.events.pages import page_url
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.events.wire import NO_LINE, WireConversion, WireIdentifier, WireLine, encode
from xcapi_core.identifiers import hash_email, hash_phone, read_ip_address, read_twclid
from xcapi_core.money import read_amount, read_count, read_currency, wire_amount
from xcapi_core.outcomes import Skipped, SkipReason
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.times import read_time, wire_time
from xcapi_core.values import read_text

__all__ = ["NOT_STRAIGHT", "UNWANTED", "Line", "NotStraightError", "Parts", "StraightWriter", "Text", "silent_except"]

Text = str | Annotated[int, msgspec.Meta(ge=1)] | None
# All that a decoder, or a value that is not what it should be, can raise.
NOT_STRAIGHT: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError, ValueError)
UNWANTED: Final = Skipped(SkipReason.UNWANTED)

_MOST_DIGITS: Final = 17


class NotStraightError(ValueError):
    """Here is something to weigh."""


def silent_except(names: Iterable[str], used: Iterable[str]) -> Any:  # noqa: ANN401 - a base class, made from a list
    """Return a base whose every field of consent, or of `used`, may only be missing or null, but for `names`.

    A decoder declines whoever fills one of them.
    """
    fields = sorted({*CONSENT_FIELDS, *used} - set(names))
    return msgspec.defstruct(
        "Silent",
        [(f"silent_{number}", None, msgspec.field(name=name, default=None)) for number, name in enumerate(fields)],
        gc=False,
    )


class Line(msgspec.Struct, gc=False):
    """One line of goods, in the order in which `events.contents` looks at its names."""

    content_id: Text = None
    item_id: Text = None
    product_id: Text = None
    sku: Text = None
    id: Text = None
    content_name: Text = None
    item_name: Text = None
    name: Text = None
    content_type: Text = None
    item_category: Text = None
    category: Text = None
    content_group_id: Text = None
    item_group_id: Text = None
    content_price: object = None
    item_price: object = None
    price: object = None
    num_items: Text = None
    quantity: Text = None


class Parts(msgspec.Struct, gc=False):
    """What a dialect found, before any of it is read; what is missing or blank is None or ""."""

    key: Text = None
    time: Text = None
    twclid: str | None = None
    email: str | None = None
    phone: str | None = None
    digest_of_email: str | None = None
    digest_of_phone: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    value: object = None
    currency: str | None = None
    lines: list[Line] | None = None
    page: str | None = None
    search: str | None = None


class StraightWriter:
    """Makes conversions of the straight events of one message, for one pixel."""

    def __init__(self, dialect: str, pixel: PixelSettings, settings: Settings, received_at: datetime) -> None:
        self._pixel = pixel
        self._synonyms = SYNONYMS[dialect]
        self._tags: dict[str, str | None] = {}
        self._phone_region = settings.default_phone_region
        self._currency = settings.default_currency
        hours = settings.max_event_age_hours
        self._not_before = None if hours is None else received_at - timedelta(hours=hours)

    def tag(self, given: str) -> str | None:
        """Return the tag of an event's name, None for an unwanted one. Raises NotStraightError."""
        try:
            return self._tags[given]
        except KeyError:
            pass
        tag = self._tags[given] = find_tag(self._pixel.event_ids, usable(read_text(given)), self._synonyms)
        return tag

    def write(self, tag: str, parts: Parts) -> Conversion:
        """Return the conversion. Raises NotStraightError."""
        key = usable(read_text(parts.key))
        time = _time(parts.time)
        if self._not_before is not None and time < self._not_before:
            raise NotStraightError
        wire = WireConversion(wire_time(time), tag, (self._identifier(parts),), key)
        currency = parts.currency
        if parts.value is not None:
            amount = read_amount(parts.value)
            wire.price_currency = read_currency(currency) if currency else self._currency
            if amount is None or wire.price_currency is None:
                raise NotStraightError
            wire.value = wire_amount(amount)
        elif currency:
            wire.price_currency = usable(read_currency(currency))
        if parts.lines:
            _add_lines(wire, parts.lines)
        if parts.page:
            wire.event_source_url = usable(page_url(usable(read_text(parts.page))))
        if parts.search:
            wire.search_string = usable(read_text(parts.search))
        return Conversion(pixel_id=self._pixel.pixel_id, event_tag=tag, conversion_id=key, wire=encode(wire))

    def _identifier(self, parts: Parts) -> WireIdentifier:
        """Return the one identifier object, as `identity.stands_alone` wants it."""
        found = WireIdentifier()
        if parts.twclid:
            found.twclid = usable(read_twclid(parts.twclid))
        if parts.email:
            found.hashed_email = usable(hash_email(usable(read_text(parts.email))))
        elif parts.digest_of_email:
            found.hashed_email = parts.digest_of_email
        if parts.phone:
            found.hashed_phone_number = usable(hash_phone(usable(read_text(parts.phone)), self._phone_region))
        elif parts.digest_of_phone:
            found.hashed_phone_number = parts.digest_of_phone
        if parts.ip_address:
            found.ip_address = usable(read_ip_address(parts.ip_address.strip()))
        if parts.user_agent:
            found.user_agent = usable(read_text(parts.user_agent))
        if not found.stands_alone():
            raise NotStraightError
        return found


def usable(text: str | Drop | None) -> str:
    """Return the text. Raises NotStraightError for anything else."""
    if text.__class__ is str:
        return text
    raise NotStraightError


def _time(given: Text) -> datetime:
    if not given:
        raise NotStraightError  # the publish time counts, which the thorough reader knows
    time = read_time(_number(given))
    if time is None:
        raise NotStraightError
    return time


def _number(given: str | int) -> str | int:
    """Return a number that was written as text, as exports write int64, as a number; it is read in half the time."""
    if isinstance(given, str) and given.isdecimal() and given.isascii() and len(given) <= _MOST_DIGITS:
        return int(given)
    return given


def _add_lines(wire: WireConversion, lines: list[Line]) -> None:
    wire.contents = [_read_line(line) for line in lines]
    total = 0
    for line in wire.contents:
        total += line.num_items or 0
    if total > LARGEST_SUM:
        raise NotStraightError
    wire.number_items = total or None


def _read_line(line: Line) -> WireLine:
    read = WireLine()
    if given := line.content_id or line.item_id or line.product_id or line.sku or line.id:
        read.content_id = _said(given)
    if given := line.content_name or line.item_name or line.name:
        read.content_name = _said(given)
    if given := line.content_type or line.item_category or line.category:
        read.content_type = _said(given)
    if given := line.content_group_id or line.item_group_id:
        read.content_group_id = _said(given)
    price = line.content_price
    if price is None:
        price = line.price if line.item_price is None else line.item_price
    if price is not None:
        amount = read_amount(price)
        if amount is None:
            raise NotStraightError
        read.content_price = wire_amount(amount)
    if given := line.num_items or line.quantity:
        read.num_items = read_count(_number(given))
        if read.num_items is None:
            raise NotStraightError
    if read == NO_LINE:
        raise NotStraightError
    return read


def _said(given: str | int) -> str | None:
    """Return a text, None for a word for nothing.

    Raises NotStraightError for a blank, since another name counts then, and for a number of no id, which is to be told.
    """
    text = read_text(given)
    if text is None and (not isinstance(given, str) or given.isspace()):
        raise NotStraightError
    return text
