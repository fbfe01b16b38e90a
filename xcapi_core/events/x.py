"""The dialect `x`: X's own conversion object, with conveniences."""

import re
from collections.abc import Mapping

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.drops import Drop
from xcapi_core.events.ages import event_time, expired
from xcapi_core.events.contents import ContentLine, read_content_ids, read_contents, sum_of_counts
from xcapi_core.events.dedup import conversion_id
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import read_tag
from xcapi_core.events.x_identifiers import read_identifiers
from xcapi_core.money import read_amount, read_count, read_currency, read_micros, wire_amount
from xcapi_core.outcomes import Expired, Invalid
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.times import wire_time
from xcapi_core.values import first_present, is_absent, kind_of, read_text

__all__ = ["read_x"]

_TIMES = ("conversion_time", "time", "timestamp")
_DEDUP_KEYS = ("conversion_id", "transaction_id", "order_id")
_AMOUNTS = ("value", "conversion_value", "value_micros")
_CURRENCIES = ("price_currency", "currency", "conversion_currency")
_CONTENTS = ("contents", "items", "products")
_COUNTS = ("number_items", "number_item")
_MOST_CODES_LISTED = 5

# A page's address as given: an http scheme, a host, no white space. Whether it exists is nobody's business here.
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)

_encode = msgspec.json.Encoder().encode


def read_x(
    event: Mapping[str, object], pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired:
    """Read one event in X's own shape, or near it, into a Conversion."""
    tag = read_tag(event, pixel, format_is_stated=source.format_is_stated)
    if isinstance(tag, Problem):
        return Invalid(tag)
    time = event_time(event, _TIMES, source)
    if isinstance(time, Problem):
        return Invalid(time)
    if (too_old := expired(time, source, settings.max_event_age_hours)) is not None:
        return too_old
    dropped: list[Drop] = []
    identifiers = read_identifiers(event, settings.default_phone_region, dropped)
    if not identifiers:
        return Invalid(_no_identifier(dropped))
    money = _read_money(event, settings.default_currency, dropped)
    if isinstance(money, Problem):
        return Invalid(money)
    dedup_key = conversion_id(event, pixel.conversion_id_from or _DEDUP_KEYS, source)
    wire = {
        "conversion_time": wire_time(time),
        "event_id": tag,
        "identifiers": identifiers,
        "conversion_id": dedup_key,
        **money,
        **_read_goods(event, dropped),
        **_read_page(event, dropped),
    }
    return Conversion(
        pixel_id=pixel.pixel_id,
        event_tag=tag,
        conversion_id=dedup_key,
        wire=_encode(wire),
        dropped=tuple(drop.value for drop in dropped),
    )


def _no_identifier(dropped: list[Drop]) -> Problem:
    codes = ", ".join(list(dict.fromkeys(drop.value for drop in dropped))[:_MOST_CODES_LISTED])
    return Problem(
        path="identifiers",
        found=f"no usable identifier ({codes})" if codes else "no identifier",
        expected="an e-mail, a phone number or a twclid, or an ip_address together with a user_agent",
    )


def _read_money(
    event: Mapping[str, object], default_currency: str | None, dropped: list[Drop]
) -> dict[str, str] | Problem:
    """Return `value` and `price_currency` as far as they are there, or the problem with either."""
    name, given = first_present(event, _CURRENCIES)
    currency = read_currency(given)
    if name and currency is None:
        return Problem(
            path=name,
            found=f"{kind_of(given)} that is no currency code",
            expected="three letters, ISO 4217",
        )
    name, given = first_present(event, _AMOUNTS)
    if not name:
        return {} if currency is None else {"price_currency": currency}
    amount = read_micros(given) if name == "value_micros" else read_amount(given)
    if amount is None:
        return Problem(
            path=name,
            found=f"{kind_of(given)} that is no amount",
            expected="a number from 0 to below 10^15, or the same as text",
        )
    currency = currency or default_currency
    if currency is None:
        # X counts such a conversion and leaves its revenue blank, or takes it for dollars.
        dropped.append(Drop.VALUE_WITHOUT_CURRENCY)
        return {}
    return {"value": wire_amount(amount), "price_currency": currency}


def _read_goods(event: Mapping[str, object], dropped: list[Drop]) -> dict[str, int | list[ContentLine]]:
    """Return `number_items` and `contents` as far as they are usable."""
    contents: list[ContentLine] = []
    # Templates leave an empty list under one name and fill another.
    given = next((value for name in _CONTENTS if not is_absent(value := event.get(name)) and value != []), None)
    if given is not None:
        contents = read_contents(given, dropped)
    elif not is_absent(event.get("content_ids")):
        contents = read_content_ids(event["content_ids"], event.get("content_type"), dropped)
    name, given = first_present(event, _COUNTS)
    count = read_count(given)
    if name and count is None:
        dropped.append(Drop.INVALID_NUMBER_ITEMS)
    count = count or sum_of_counts(contents)
    goods: dict[str, int | list[ContentLine]] = {}
    if count is not None:
        goods["number_items"] = count
    if contents:
        goods["contents"] = contents
    return goods


def _read_page(event: Mapping[str, object], dropped: list[Drop]) -> dict[str, str]:
    """Return the texts about the page and the event as far as they are usable."""
    texts: dict[str, str] = {}
    for field, code in (
        ("description", Drop.INVALID_DESCRIPTION),
        ("event_source_url", Drop.INVALID_URL),
        ("search_string", Drop.INVALID_SEARCH_STRING),
    ):
        given = event.get(field)
        if is_absent(given):
            continue
        text = read_text(given)
        if text is not None and (field != "event_source_url" or _URL.fullmatch(text)):
            texts[field] = text
        elif not isinstance(given, str) or field == "event_source_url":
            dropped.append(code)
    return texts
