"""The dialect `segment`: calls of Segment and RudderStack, and of what speaks their format.

Sources: Segment, "Spec: Common Fields" and "HTTP API: batch"; RudderStack, "HTTP API" and its destination "X".
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache, partial
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.contents import ContentLine, read_contents
from xcapi_core.events.dedup import DEDUP_KEYS, dedup_names
from xcapi_core.events.destinations import keeps_from_x
from xcapi_core.events.draft import Draft
from xcapi_core.events.drops import Drop
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.fields import is_absent, is_no_amount, is_object, kind_of, read_text
from xcapi_core.events.match_keys import MatchKeys
from xcapi_core.events.money import read_amount, read_count
from xcapi_core.events.names import CLICK_IDS, OVERRIDES, PERSON, Names, Table, merged, spread
from xcapi_core.events.opened import NOTHING, Opened, first_pixel_id, is_scanner, not_a_body, path_within
from xcapi_core.events.person import (
    EventPlan,
    add_click_id,
    add_first,
    add_kinds,
    identifiers_of,
    lone_identifier,
    plan_event,
)
from xcapi_core.events.shapes import as_object
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["open_segment", "read_segment", "table_of"]

_PROPERTIES, _CALL, _CONTEXT, _TRAITS, _CONTEXT_TRAITS, _PAGE, _CAMPAIGN = range(7)
_OWN: Final = (_PROPERTIES, _CALL)
_PEOPLE: Final = ("email", "phone", "hashed_email", "hashed_phone_number")
_OTHER_PEOPLE: Final = frozenset(f"other_{kind}" for kind in _PEOPLE)
_FIRST_OF: Final = ("ip_address", "user_agent", "twclid")
_WHO: Final = {kind: PERSON[kind] for kind in _PEOPLE}

_NAMES: Final[Names] = merged(
    spread(_OWN, OVERRIDES),
    spread(
        (_PROPERTIES,),
        {
            # RudderStack's own destination has its names in camel case.
            "time": ("conversionTime",),
            "count": ("numberItems",),
            "amount": ("revenue", "value", "total"),
            "currency": ("currency", "priceCurrency"),
            "contents": ("products",),
            "search": ("query",),
            # What makes the properties themselves one line of goods, as in "Product Added".
            "product": ("product_id", "sku"),
            "price": ("price",),
            "quantity": ("quantity",),
            "page_of_call": ("url",),
        },
    ),
    spread((_CALL,), {"time": ("timestamp", "originalTimestamp")}),
    spread(_OWN, {"page": ("event_source_url",)}),
    spread((_PAGE,), {"page": ("url",)}),
    spread((_TRAITS, _CONTEXT_TRAITS), _WHO),
    spread(_OWN, {f"other_{kind}": names for kind, names in _WHO.items()}),
    spread((_CONTEXT,), {"ip_address": ("ip",), "user_agent": ("userAgent",)}),
    spread(_OWN, {"ip_address": ("ip_address",), "user_agent": ("user_agent",)}),
    spread((_CALL,), {"ip_address": ("request_ip",)}),
    spread((_PROPERTIES, _CALL, _CONTEXT, _CAMPAIGN, _TRAITS, _CONTEXT_TRAITS), {"twclid": CLICK_IDS}),
    *(spread((place,), {"click_url": ("url", "search", "event_source_url")}) for place in (_PAGE, _PROPERTIES)),
)
_AT: Final = ("properties.", "", "context.", "", "", "", "")
_BATCHES: Final = ("batch", "events", "conversions")
_SYNONYMS: Final = SYNONYMS["segment"]
_SITE_VISIT: Final = {"page": "site_visit"}
# Calls that record nothing that anybody did. A pixel that wants one of them all the same names its type.
_OTHER_TYPES: Final = frozenset(
    {"alias", "audiencelist", "extract", "group", "identify", "merge", "page", "record", "screen"}
)
_WIDE_PRODUCT: Final = Context(prec=64, traps=[])


def open_segment(call: Mapping[str, object], envelope: Envelope | None) -> Opened | Problem:
    """Return the places of one call; `envelope` is the batch around it."""
    at = path_within(envelope)
    batch = NOTHING if envelope is None else envelope.fields
    if "type" not in call and "event" not in call and (problem := not_a_body(call, _BATCHES)) is not None:
        return problem
    properties, context = as_object(call.get("properties")), as_object(call.get("context"))
    if properties is None:
        properties = NOTHING
    if not isinstance(properties, dict):
        return Problem(path=f"{at}properties", found=kind_of(properties), expected="a JSON object")
    if not isinstance(context, dict):
        if not is_absent(context):
            return Problem(path=f"{at}context", found=kind_of(context), expected="a JSON object")
        context = NOTHING
    own: Mapping[str, object] = context
    if envelope is not None and is_object(shared := as_object(batch.get("context"))):
        own = {**shared, **{name: value for name, value in own.items() if value is not None}}
    page = _part(own, "page")
    return Opened(
        places=(properties, call, own, _part(call, "traits"), _part(own, "traits"), page, _part(own, "campaign")),
        at=(f"{at}properties.", at, f"{at}context.", *([""] * 4)) if at else _AT,
        name=call.get("event") or call.get("type"),
        pixel_id=first_pixel_id(properties, call, batch),
        is_unwanted=is_scanner(page.get("url"))
        or is_scanner(properties.get("url"))
        or is_scanner(properties.get("event_source_url"))
        or keeps_from_x(call, batch, own),
    )


def read_segment(
    opened: Opened, pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired | Skipped:
    """Read one call into a Conversion."""
    tag = _find_tag(opened, pixel)
    if isinstance(tag, Problem):
        return Invalid(tag)
    if tag is None:
        return Skipped(SkipReason.UNWANTED)
    plan = table_of(pixel.conversion_id_from).plan(opened.places)
    draft = _Call(places=opened.places, at=opened.at, names=plan.names, source=source, settings=settings)
    identifiers = _identifiers(draft, plan, settings.default_phone_region)
    if isinstance(identifiers, Skipped):
        return identifiers
    return draft.conversion(pixel, tag, identifiers)


@lru_cache(maxsize=256)
def table_of(conversion_id_from: tuple[str, ...] | None) -> Table[EventPlan]:
    """Return the names of the dialect for a pixel's `conversion_id_from`."""
    keys = spread(_OWN, {"key": dedup_names(conversion_id_from or (*DEDUP_KEYS, "messageId"))})
    # Of a messageId there is only the call's.
    own = tuple(entry for entry in keys["key"] if entry != (_PROPERTIES, "messageId"))
    return Table(merged(_NAMES, {"key": own}), partial(plan_event, first_of=_FIRST_OF, never_lone=_OTHER_PEOPLE))


def _part(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = fields.get(name)
    if part is None or isinstance(part, dict):
        return part or NOTHING
    part = as_object(part)
    return part if is_object(part) else NOTHING


def _find_tag(opened: Opened, pixel: PixelSettings) -> str | Problem | None:
    """Return the tag of a call, None where the pixel does not want it."""
    call, at = opened.places[_CALL], opened.at[_CALL]
    given = call.get("type")
    kind = given if given == "track" else (read_text(given) or "").lower()
    # What was posted to /v1/track says what it is by its address alone.
    if kind == "track" or (is_absent(given) and "event" in call):
        event = call.get("event")
        name = read_text(event)
        if name is None:
            return Problem(path=f"{at}event", found=kind_of(event), expected="the event's name, as text")
        return find_tag(pixel.event_ids, name, _SYNONYMS)
    if kind in _OTHER_TYPES:
        return find_tag(pixel.event_ids, kind, _SITE_VISIT)
    return Problem(
        path=f"{at}type",
        found=kind_of(given) if not kind else "a type that is none of Segment's",
        expected="track, page, screen, identify, group or alias",
    )


class _Call(Draft, frozen=True, gc=False):
    """A call on its way to a conversion: what its properties say of one product counts where there is no list."""

    def amount(self) -> Decimal | Problem | None:
        """Return the revenue, or the price times the quantity."""
        amount = super().amount()
        price = self.first("price") if amount is None else None
        if price is None:
            return amount
        single = read_amount(price[2])
        if single is None and is_no_amount(price[2]):
            self.dropped.append(Drop.INVALID_VALUE)
            return None
        if single is None:
            return self.no_amount(*price)
        quantity = self.first("quantity")
        count = 1 if quantity is None else read_count(quantity[2])
        if count is None:
            self.dropped.append(Drop.INVALID_NUMBER_ITEMS)  # and no value: a wrong one is worse than none
            return None
        product = _WIDE_PRODUCT.multiply(single, Decimal(count))
        if read_amount(product) is None:
            path = f"{self.at[_PROPERTIES]}price"
            return Problem(path=path, found="a price times a quantity that is no amount", expected="below 10^15")
        return product

    def contents(self, dropped: list[Drop], currencies: set[str]) -> list[ContentLine]:
        """Return the list of products, or the properties as a line of their own."""
        if "product" not in self.names or self.first("contents") is not None or self.first("product") is None:
            return super().contents(dropped, currencies)
        return read_contents([self.places[_PROPERTIES]], dropped, currencies)

    def count(self, contents: list[ContentLine]) -> int | None:
        """Return how many items there are."""
        count = super().count(contents)
        if contents or count is not None:
            return count
        quantity = self.first("quantity")
        return count if quantity is None else read_count(quantity[2])

    def page(self) -> object:
        """Return the page's address; of a `page` call its own, for want of the context's."""
        address = super().page()
        if address is None and self.places[_CALL].get("type") == "page":
            found = self.first("page_of_call")
            return found and found[2]
        return address


def _identifiers(draft: Draft, plan: EventPlan, phone_region: str | None) -> list[dict[str, str]] | Invalid | Skipped:
    places, names = draft.places, plan.names
    lone = lone_identifier(places, plan, phone_region)
    if lone is not None:
        return [lone]
    match_keys = MatchKeys(phone_region, draft.dropped)
    add_kinds(match_keys, places, names, _PEOPLE)
    # An address among an event's properties may be somebody else's, as of "Invite Sent": only for want of a better one.
    if not (match_keys.emails or match_keys.digests_of_emails):
        add_kinds(match_keys, places, names, ("email", "hashed_email"), "other_")
    if not (match_keys.phones or match_keys.digests_of_phones):
        add_kinds(match_keys, places, names, ("phone", "hashed_phone_number"), "other_")
    for kind in _FIRST_OF:
        add_first(match_keys, places, names, kind)
    if not match_keys.twclid:
        add_click_id(match_keys, places, names)
    return identifiers_of(match_keys)
