"""What straight events have in common: the values that they may hold, and the conversion that these make.

An event is straight where each thing is said once, in the ordinary place and type. It is decoded into the few fields
that matter, and nothing else. Fields that speak of consent, or that only the thorough reader weighs, are unknown to the
decoder or declared as null: whoever fills one is declined by the decoder itself, at no cost for all others. What is
declined goes to `events.x`, `events.ga4` and `events.segment`, which alone know all the rules; the values are read by
the same functions there and here. So these readers may decline anything, but never say something else
(docs/adr/0009-straight-events.md).
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.consent import CONSENT_FIELDS
from xcapi_core.events.contents import LARGEST_SUM
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import read_text
from xcapi_core.events.identifiers import hash_email, hash_phone, read_ip_address, read_twclid
from xcapi_core.events.money import read_amount, read_count, read_currency, wire_amount
from xcapi_core.events.pages import page_url
from xcapi_core.events.pixels import choose_pixel
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.events.times import read_time, wire_time
from xcapi_core.events.wire import WireConversion, WireIdentifier, WireLine, encode
from xcapi_core.outcomes import Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = [
    "UNWANTED",
    "Line",
    "NotStraightError",
    "Parts",
    "StraightWriter",
    "Text",
    "Writers",
    "page_of",
    "silent_except",
    "usable",
]

Text = str | Annotated[int, msgspec.Meta(ge=1)] | None
UNWANTED: Final = Skipped(SkipReason.UNWANTED)


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
    """What a dialect found, before any of it is read; what is missing or blank is None or "".

    `url` is the page's address as it goes out.
    """

    key: Text = None
    time: Text = None
    twclid: str | None = None
    email: str | None = None
    phone: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    value: object = None
    currency: str | None = None
    lines: list[Line] | None = None
    url: str | None = None
    search: str | None = None
    digest_of_email: str | None = None
    digest_of_phone: str | None = None


class Writers(dict[Text, "StraightWriter"]):
    """The writers of one message, by what an event says of its pixel: `writers[None]` where it says nothing.

    `dialect` is "x", "ga4" or "segment".
    """

    def __init__(
        self,
        dialect: str,
        message_pixel_id: str | None,
        settings: Settings,
        *,
        publish_time: Callable[[], datetime],
        received_at: datetime,
    ) -> None:
        super().__init__()
        self.dialect = dialect
        self._message_pixel_id = message_pixel_id
        self._settings = settings
        self._publish_time = publish_time
        self._received_at = received_at

    def __missing__(self, own: Text) -> "StraightWriter":
        """Make the writer of one more pixel. Raises NotStraightError where every event of it is to be weighed."""
        pixel = choose_pixel({"pixel_id": own}, self._message_pixel_id, self._settings)
        # A straight event names neither its consent nor other keys of its own.
        if isinstance(pixel, Problem) or pixel.conversion_id_from is not None or self._settings.consent == "require":
            raise NotStraightError
        writer = self[own] = StraightWriter(
            self.dialect, pixel, self._settings, publish_time=self._publish_time, received_at=self._received_at
        )
        return writer


class StraightWriter:
    """Makes conversions of the straight events of one message, for one pixel."""

    def __init__(
        self,
        dialect: str,
        pixel: PixelSettings,
        settings: Settings,
        *,
        publish_time: Callable[[], datetime],
        received_at: datetime,
    ) -> None:
        self._pixel = pixel
        self._synonyms = SYNONYMS[dialect]
        self._tags: dict[str, str | None] = {}
        self._phone_region = settings.default_phone_region
        self._currency = settings.default_currency
        self._publish_time = publish_time
        hours = settings.max_event_age_hours
        self._not_before = None if hours is None else received_at - timedelta(hours=hours)

    def tag(self, given: str) -> str | None:
        """Return the tag of an event's name, None for one that the pixel does not list. Raises NotStraightError."""
        try:
            return self._tags[given]
        except KeyError:
            pass
        tag = self._tags[given] = find_tag(self._pixel.event_ids, usable(read_text(given)), self._synonyms)
        return tag

    def write(self, tag: str, parts: Parts) -> Conversion:
        """Return the conversion. Raises NotStraightError."""
        key = read_text(parts.key)
        time = read_time(parts.time) if parts.time else self._publish_time()
        if key is None or time is None or (self._not_before is not None and time < self._not_before):
            raise NotStraightError
        wire = WireConversion(wire_time(time), tag, (self._identifier(parts),), key)
        if parts.value is not None:
            self._add_money(wire, parts)
        elif parts.currency:
            wire.price_currency = usable(read_currency(parts.currency))
        if parts.lines:
            _add_lines(wire, parts.lines)
        if parts.url:
            wire.event_source_url = parts.url
        if parts.search:
            wire.search_string = usable(read_text(parts.search))
        return Conversion(pixel_id=self._pixel.pixel_id, event_tag=tag, conversion_id=key, wire=encode(wire))

    def _identifier(self, parts: Parts) -> WireIdentifier:
        """Return the one identifier object, as `identity.stands_alone` wants it."""
        found = WireIdentifier()
        if parts.twclid:
            found.twclid = usable(read_twclid(parts.twclid))
        if parts.email:
            found.hashed_email = usable(hash_email(parts.email))
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

    def _add_money(self, wire: WireConversion, parts: Parts) -> None:
        amount = read_amount(parts.value)
        currency = read_currency(parts.currency) if parts.currency else self._currency
        if amount is None or currency is None:
            raise NotStraightError
        wire.value = wire_amount(amount)
        wire.price_currency = currency


def usable(text: str | Drop | None) -> str:
    """Return the text. Raises NotStraightError for anything else."""
    if text.__class__ is str:
        return text
    raise NotStraightError


def page_of(address: str | None) -> str | None:
    """Return what goes out of a page's address, None where there is none. Raises NotStraightError."""
    return usable(page_url(usable(read_text(address)))) if address else None


def _add_lines(wire: WireConversion, lines: list[Line]) -> None:
    wire.contents = [_read_line(line) for line in lines]
    total = 0
    for line in wire.contents:
        if line.num_items:
            total += line.num_items
    if total > LARGEST_SUM:
        raise NotStraightError
    wire.number_items = total or None


def _read_line(line: Line) -> WireLine:
    content_id = name = kind = group = wire_price = count = None
    if given := line.content_id or line.item_id or line.product_id or line.sku or line.id:
        content_id = read_text(given) or _nothing(given)
    if given := line.content_name or line.item_name or line.name:
        name = read_text(given) or _nothing(given)
    if given := line.content_type or line.item_category or line.category:
        kind = read_text(given) or _nothing(given)
    if given := line.content_group_id or line.item_group_id:
        group = read_text(given) or _nothing(given)
    price = line.content_price
    if price is None:
        price = line.price if line.item_price is None else line.item_price
    if price is not None:
        amount = read_amount(price)
        if amount is None:
            raise NotStraightError
        wire_price = wire_amount(amount)
    elif not (content_id or name or kind or group):
        raise NotStraightError
    if given := line.num_items or line.quantity:
        count = read_count(given)
        if count is None:
            raise NotStraightError
    return WireLine(content_id, name, kind, group, wire_price, count)


def _nothing(given: str | int) -> str | None:
    """Return None for a word for nothing.

    Raises NotStraightError for a blank, since another name counts then, and for a number of no id, which is to be told.
    """
    if not isinstance(given, str) or given.isspace():
        raise NotStraightError
    return None
