"""The dialect `segment`: calls of Segment and RudderStack, and of what speaks their format."""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.ages import event_time, expired
from xcapi_core.events.contents import ContentLine, read_contents
from xcapi_core.events.dedup import conversion_id
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import first_present, is_absent, is_object, kind_of, read_text
from xcapi_core.events.identity import Identity
from xcapi_core.events.money import read_amount, read_count
from xcapi_core.events.pages import click_id_of_query, click_id_of_url
from xcapi_core.events.parts import (
    compose,
    count_goods,
    read_identifiers,
    read_money,
    read_page,
    read_search,
    wire_money,
)
from xcapi_core.events.segment_shape import SegmentCall, open_segment
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["read_segment"]

_TIMES: Final = ("timestamp", "originalTimestamp")
_DEDUP_KEYS: Final = ("conversion_id", "transaction_id", "order_id", "messageId")
_AMOUNTS: Final = ("revenue", "value", "total")
_SYNONYMS: Final = SYNONYMS["segment"]
_PAGE: Final = {"page": "site_visit"}
# Calls that record nothing that anybody did. A pixel that wants one of them all the same names its type.
_OTHER_TYPES: Final = frozenset(
    {"alias", "audiencelist", "extract", "group", "identify", "merge", "page", "record", "screen"}
)
_USER_FIELDS: Final = (
    ("email", Identity.add_email),
    ("phone", Identity.add_phone),
    ("hashed_email", Identity.add_hashed_email),
    ("hashed_phone_number", Identity.add_hashed_phone_number),
)
_PRODUCTS: Final = ("products", "contents")  # Segment's name, and that of RudderStack's own destination
# What makes the properties themselves one line of goods: "Product Added" has them where others have `products`.
_PRODUCT_KEYS: Final = ("product_id", "sku")
_WIDE: Final = Context(prec=64, traps=[])


def read_segment(
    event: Mapping[str, object], pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired | Skipped:
    """Read one call into a Conversion."""
    opened = open_segment(event)
    if isinstance(opened, Problem):
        return Invalid(opened)
    tag = _find_tag(opened, pixel)
    if isinstance(tag, Problem):
        return Invalid(tag)
    if tag is None:
        return Skipped(SkipReason.UNWANTED)
    dropped: list[Drop] = []
    identifiers = read_identifiers(_identity(opened, settings.default_phone_region, dropped))
    if isinstance(identifiers, Invalid | Skipped):
        return identifiers
    time = event_time(opened.call, _TIMES, source)
    if isinstance(time, Problem):
        return Invalid(time)
    if (too_old := expired(time, source, settings.max_event_age_hours)) is not None:
        return too_old
    money = _read_money(opened, settings.default_currency, dropped)
    if isinstance(money, Problem):
        return Invalid(money)
    names = pixel.conversion_id_from or _DEDUP_KEYS
    ids = {name: _key(name, opened) for name in names}
    return compose(
        pixel_id=pixel.pixel_id,
        tag=tag,
        time=time,
        identifiers=identifiers,
        conversion_id=conversion_id(ids, names, source),
        optional=(
            money,
            count_goods(_read_goods(opened.properties, dropped)),
            read_page(_page_address(opened), dropped),
            read_search(opened.properties.get("query"), dropped),
        ),
        dropped=dropped,
    )


def _find_tag(opened: SegmentCall, pixel: PixelSettings) -> str | Problem | None:
    """Return the tag of a call, None where the pixel does not want it."""
    given = opened.call.get("type")
    kind = (read_text(given) or "").lower()
    # What was posted to /v1/track says what it is by its address alone.
    if kind == "track" or (is_absent(given) and "event" in opened.call):
        event = opened.call.get("event")
        name = read_text(event)
        if name is None:
            return Problem(path=f"{opened.at}event", found=kind_of(event), expected="the event's name, as text")
        return find_tag(pixel.event_ids, name, _SYNONYMS)
    if kind in _OTHER_TYPES:
        return find_tag(pixel.event_ids, kind, _PAGE)
    return Problem(
        path=f"{opened.at}type",
        found=kind_of(given) if not kind else "a type that is none of Segment's",
        expected="track, page, screen, identify, group or alias",
    )


def _key(name: str, opened: SegmentCall) -> object:
    """Return what a call, or before it its properties, has under a name; of a messageId there is only the call's."""
    own = opened.properties.get(name)
    return opened.call.get(name) if name == "messageId" or read_text(own) is None else own


def _read_money(opened: SegmentCall, default_currency: str | None, dropped: list[Drop]) -> dict[str, str] | Problem:
    at, properties = f"{opened.at}properties.", opened.properties
    currency = f"{at}currency", properties.get("currency")
    name, given = first_present(properties, _AMOUNTS)
    if name or is_absent(price := properties.get("price")):
        return read_money((f"{at}{name}", given), currency, default_currency, dropped)
    amount = read_amount(price)
    if amount is None:
        return read_money((f"{at}price", price), currency, default_currency, dropped)
    quantity = properties.get("quantity")
    count = 1 if is_absent(quantity) else read_count(quantity)
    if count is None:
        dropped.append(Drop.INVALID_NUMBER_ITEMS)  # and no value: a wrong one is worse than none
    product: Decimal | None = None if count is None else _WIDE.multiply(amount, Decimal(count))
    if product is not None and read_amount(product) is None:
        return Problem(path=f"{at}price", found="a price times a quantity that is no amount", expected="below 10^15")
    return wire_money(product, currency, default_currency, dropped)


def _read_goods(properties: Mapping[str, object], dropped: list[Drop]) -> list[ContentLine]:
    for name in _PRODUCTS:
        products = properties.get(name)
        if not (is_absent(products) or products == []):
            return read_contents(products, dropped)
    if all(is_absent(properties.get(key)) for key in _PRODUCT_KEYS):
        return []
    # Counted where the value was read, if its count is no good.
    ours: list[Drop] = []
    goods = read_contents([properties], ours)
    dropped.extend(drop for drop in ours if drop not in dropped)
    return goods


def _page_address(opened: SegmentCall) -> object:
    page = opened.context.get("page")
    address = page.get("url") if is_object(page) else None
    return opened.properties.get("url") if is_absent(address) and opened.call.get("type") == "page" else address


def _identity(opened: SegmentCall, phone_region: str | None, dropped: list[Drop]) -> Identity:
    identity = Identity(phone_region, dropped)
    context, properties = opened.context, opened.properties
    traits = [part for part in (opened.call.get("traits"), context.get("traits")) if is_object(part)]
    for place in traits:
        _add_fields(identity, place)
    # An address among an event's properties may be somebody else's, as of "Invite Sent": only for want of a better one.
    if not (identity.emails or identity.phones or identity.digests_of_emails or identity.digests_of_phones):
        _add_fields(identity, properties)
    ip_address = context.get("ip")
    if is_absent(ip_address):
        ip_address = opened.call.get("request_ip")
    if ip_address is not None:
        identity.add_ip_address(ip_address)
    if (user_agent := context.get("userAgent")) is not None:
        identity.add_user_agent(user_agent)
    _add_click_id(identity, opened, traits)
    return identity


def _add_fields(identity: Identity, place: Mapping[str, object]) -> None:
    for name, add in _USER_FIELDS:
        if (value := place.get(name)) is not None:
            add(identity, value)


def _add_click_id(identity: Identity, opened: SegmentCall, traits: list[dict[str, object]]) -> None:
    """Add the click id from the first place that has a usable one."""
    campaign, page = opened.context.get("campaign"), opened.context.get("page")
    places: list[Mapping[str, object]] = [opened.properties, opened.call, opened.context]
    if is_object(campaign):
        places.append(campaign)
    for name in ("twclid", "_twclid"):
        for place in (*places, *traits):
            if not identity.twclid and (value := place.get(name)) is not None:
                identity.add_twclid(value)
    for at in (page if is_object(page) else None, opened.properties):
        if at is not None and not identity.twclid:
            click_id = (
                click_id_of_url(at.get("url"))
                or click_id_of_query(at.get("search"))
                or click_id_of_url(at.get("event_source_url"))
            )
            if click_id:
                identity.add_twclid(click_id)
