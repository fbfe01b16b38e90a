"""The parts of a conversion that the dialects of other systems share: money, goods, texts, and the whole."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.contents import ContentLine, sum_of_counts
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, kind_of, read_text
from xcapi_core.events.identity import Identity, stands_alone
from xcapi_core.events.money import read_amount, read_currency, wire_amount
from xcapi_core.events.pages import page_url
from xcapi_core.events.times import wire_time
from xcapi_core.outcomes import Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem

__all__ = [
    "Place",
    "compose",
    "count_goods",
    "read_identifiers",
    "read_money",
    "read_page",
    "read_search",
    "wire_money",
]

# Where a value stands, for a problem's path, and the value.
Place = tuple[str, object]

_MOST_CODES_LISTED = 5
_encode: Final = msgspec.json.Encoder().encode


def read_identifiers(identity: Identity) -> list[dict[str, str]] | Invalid | Skipped:
    """Return X's identifier objects, or the end of an event that has none.

    Without anything to match by it is skipped: most of such a stream is anonymous. Where something is there and is
    unusable, its author should hear of it.
    """
    identifiers = [identifier for identifier in identity.objects() if stands_alone(identifier)]
    if identifiers:
        return identifiers
    codes = list(dict.fromkeys(drop.value for drop in identity.dropped))
    if not codes:
        return Skipped(SkipReason.NO_IDENTIFIER)
    return Invalid(
        Problem(
            path="identifiers",
            found=f"no usable identifier ({', '.join(codes[:_MOST_CODES_LISTED])})",
            expected="an e-mail, a phone number or a twclid, or an IP address together with a user agent",
        )
    )


def read_money(
    amount: Place, currency: Place, default_currency: str | None, dropped: list[Drop]
) -> dict[str, str] | Problem:
    """Return `value` and `price_currency` as far as they are there, or the problem with either."""
    path, given = amount
    if is_absent(given):
        return wire_money(None, currency, default_currency, dropped)
    value = read_amount(given)
    if value is None:
        return Problem(
            path=path,
            found=f"{kind_of(given)} that is no amount",
            expected="a number from 0 to below 10^15, or the same as text",
        )
    return wire_money(value, currency, default_currency, dropped)


def wire_money(
    amount: Decimal | None, currency: Place, default_currency: str | None, dropped: list[Drop]
) -> dict[str, str] | Problem:
    """Return the money fields of an amount ≥ 0, None for none."""
    path, given = currency
    code = None
    if not is_absent(given):
        code = read_currency(given)
        if code is None:
            return Problem(
                path=path, found=f"{kind_of(given)} that is no currency code", expected="three letters, ISO 4217"
            )
    if amount is None:
        return {} if code is None else {"price_currency": code}
    code = code or default_currency
    if code is None:
        dropped.append(Drop.VALUE_WITHOUT_CURRENCY)
        return {}
    return {"value": wire_amount(amount), "price_currency": code}


def count_goods(contents: list[ContentLine]) -> dict[str, int | list[ContentLine]]:
    """Return `number_items` and `contents` as far as there are any."""
    if not contents:
        return {}
    count = sum_of_counts(contents)
    return {"contents": contents} if count is None else {"number_items": count, "contents": contents}


def read_page(address: object, dropped: list[Drop]) -> dict[str, str]:
    """Return the `event_source_url` that a page's address makes."""
    if is_absent(address):
        return {}
    url = page_url(text) if (text := read_text(address)) else None
    if url is None:
        dropped.append(Drop.INVALID_URL)
        return {}
    return {"event_source_url": url}


def read_search(words: object, dropped: list[Drop]) -> dict[str, str]:
    """Return the `search_string` that somebody searched for."""
    if is_absent(words):
        return {}
    text = read_text(words)
    if text is not None:
        return {"search_string": text}
    if not isinstance(words, str):
        dropped.append(Drop.INVALID_SEARCH_STRING)
    return {}


def compose(
    *,
    pixel_id: str,
    tag: str,
    time: datetime,
    identifiers: list[dict[str, str]],
    conversion_id: str,
    optional: Sequence[Mapping[str, object]],
    dropped: Sequence[Drop],
) -> Conversion:
    """Return the conversion, its wire form in the one order that X's fields are sent in."""
    wire: dict[str, object] = {
        "conversion_time": wire_time(time),
        "event_id": tag,
        "identifiers": identifiers,
        "conversion_id": conversion_id,
    }
    for part in optional:
        wire.update(part)
    return Conversion(
        pixel_id=pixel_id,
        event_tag=tag,
        conversion_id=conversion_id,
        wire=_encode(wire),
        dropped=tuple([drop.value for drop in dropped]),
    )
