"""The dialect `ga4`: Google Analytics 4, as its Measurement Protocol, server containers and BigQuery export have it."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.ages import event_time, expired
from xcapi_core.events.contents import read_contents
from xcapi_core.events.dedup import conversion_id
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, is_object, kind_of, read_text
from xcapi_core.events.ga4_shape import open_ga4
from xcapi_core.events.identity import Identity
from xcapi_core.events.pages import click_id_of_url
from xcapi_core.events.parts import Place, compose, count_goods, read_identifiers, read_money, read_page, read_search
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["read_ga4"]

_TIMES: Final = ("timestamp_micros", "event_timestamp", "conversion_time", "event_time", "timestamp")
_DEDUP_KEYS: Final = ("conversion_id", "transaction_id", "order_id", "event_id")
_SYNONYMS: Final = SYNONYMS["ga4"]

# GA4's names, and those that X's own format has, for what a query adds to export rows.
_USER_FIELDS: Final = (
    ("email_address", Identity.add_email),
    ("email", Identity.add_email),
    ("phone_number", Identity.add_phone),
    ("phone", Identity.add_phone),
    ("hashed_email", Identity.add_hashed_email),
    ("hashed_phone_number", Identity.add_hashed_phone_number),
)
_DIGEST_BYTES = 32
_BASE64_LENGTHS = frozenset({43, 44})


def read_ga4(
    event: Mapping[str, object], pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired | Skipped:
    """Read one GA4 event, in any of its shapes, into a Conversion."""
    opened = open_ga4(event)
    if isinstance(opened, Problem):
        return Invalid(opened)
    fields, at = opened.fields, opened.at
    name = read_text(opened.name)
    if name is None:
        return Invalid(Problem(path="event_name", found=kind_of(opened.name), expected="the event's name, as text"))
    tag = find_tag(pixel.event_ids, name, _SYNONYMS)
    if tag is None:
        return Skipped(SkipReason.UNWANTED)
    dropped: list[Drop] = []
    identifiers = read_identifiers(_identity(fields, settings.default_phone_region, dropped))
    if isinstance(identifiers, Invalid | Skipped):
        return identifiers
    time = event_time(fields, _TIMES, source)
    if isinstance(time, Problem):
        return Invalid(time)
    if (too_old := expired(time, source, settings.max_event_age_hours)) is not None:
        return too_old
    ecommerce = fields.get("ecommerce")
    sale: Mapping[str, object] = ecommerce if is_object(ecommerce) else {}
    money = read_money(
        _first(fields, sale, at, "value", "purchase_revenue"),
        _first(fields, sale, at, "currency", "currency"),
        settings.default_currency,
        dropped,
    )
    if isinstance(money, Problem):
        return Invalid(money)
    items = _first(fields, sale, at, "items", "items")[1]
    return compose(
        pixel_id=pixel.pixel_id,
        tag=tag,
        time=time,
        identifiers=identifiers,
        conversion_id=_dedup_key(fields, sale, pixel, source),
        optional=(
            money,
            {} if items is None or items == [] else count_goods(read_contents(items, dropped)),
            read_page(fields.get("page_location"), dropped),
            read_search(fields.get("search_term"), dropped),
        ),
        dropped=dropped,
    )


def _first(fields: Mapping[str, object], sale: Mapping[str, object], at: str, name: str, name_in_sale: str) -> Place:
    """Return a field of the event, else of its `ecommerce`, with the place where it stands."""
    value = fields.get(name)
    if sale and (is_absent(value) or value == []):
        return f"ecommerce.{name_in_sale}", sale.get(name_in_sale)
    return f"{at}{name}", value


def _dedup_key(
    fields: Mapping[str, object], sale: Mapping[str, object], pixel: PixelSettings, source: EventSource
) -> str:
    names = pixel.conversion_id_from or _DEDUP_KEYS
    own: dict[str, object] = {}
    for name in names:
        value = fields.get(name)
        if read_text(value) is None:
            value = sale.get(name)
        if name == "event_id" and isinstance(value, str) and value.lower().startswith("tw-"):
            continue  # X's event tag, which is the same for every sale: X would drop all but the first
        own[name] = value
    return conversion_id(own, names, source)


def _identity(fields: Mapping[str, object], phone_region: str | None, dropped: list[Drop]) -> Identity:
    identity = Identity(phone_region, dropped)
    user = fields.get("user_data")
    places: list[Mapping[str, object]] = [fields]
    if is_object(user):
        places.insert(0, user)
    elif not is_absent(user):
        dropped.append(Drop.INVALID_USER)
    for place in places:
        for name, add in _USER_FIELDS:
            if (value := place.get(name)) is not None:
                add(identity, value)
        if (value := place.get("sha256_email_address")) is not None:
            identity.add_hashed_email(_as_hex(value))
        if (value := place.get("sha256_phone_number")) is not None:
            identity.add_hashed_phone_number(_as_hex(value))
    for name in ("ip_override", "ip_address"):
        if not identity.ip_address and (value := fields.get(name)) is not None:
            identity.add_ip_address(value)
    if (value := fields.get("user_agent")) is not None:
        identity.add_user_agent(value)
    _add_click_id(identity, places)
    return identity


def _add_click_id(identity: Identity, places: list[Mapping[str, object]]) -> None:
    """Add the click id from the first place that has a usable one."""
    for name in ("twclid", "_twclid"):
        for place in places:
            if not identity.twclid and (value := place.get(name)) is not None:
                identity.add_twclid(value)
    for name in ("page_location", "event_source_url"):
        if not identity.twclid and (click_id := click_id_of_url(places[-1].get(name))):
            identity.add_twclid(click_id)


def _as_hex(value: object) -> object:
    """Return digests in hex; Google's tags write them in Base64, too, with URL-safe letters or plain ones."""
    if isinstance(value, list):
        return [_as_hex(item) for item in value]
    if not isinstance(value, str) or len(text := value.strip()) not in _BASE64_LENGTHS:
        return value
    try:
        digest = urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=")
    except (binascii.Error, ValueError):
        return value
    return digest.hex() if len(digest) == _DIGEST_BYTES else value
