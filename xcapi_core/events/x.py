"""The dialect `x`: X's own conversion object, with conveniences."""

from collections.abc import Mapping

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.ages import event_time, expired
from xcapi_core.events.contents import ContentLine, read_content_ids, read_contents, sum_of_counts
from xcapi_core.events.dedup import conversion_id
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import first_present, is_absent, is_url, kind_of, read_text
from xcapi_core.events.money import read_amount, read_count, read_currency, read_micros, wire_amount
from xcapi_core.events.shapes import Shapes, present
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import read_tag
from xcapi_core.events.times import wire_time
from xcapi_core.events.x_identifiers import IdentifierShape, identifier_shape_of, read_identifiers
from xcapi_core.outcomes import Expired, Invalid
from xcapi_core.problems import Problem
from xcapi_core.records import Record
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["read_x"]

_TIMES = ("conversion_time", "time", "timestamp")
_DEDUP_KEYS = ("conversion_id", "transaction_id", "order_id")
_AMOUNTS = ("value", "conversion_value", "value_micros")
_CURRENCIES = ("price_currency", "currency", "conversion_currency")
_CONTENTS = ("contents", "items", "products")
_COUNTS = ("number_items", "number_item")
_TEXTS = (
    ("description", Drop.INVALID_DESCRIPTION),
    ("event_source_url", Drop.INVALID_URL),
    ("search_string", Drop.INVALID_SEARCH_STRING),
)
_MOST_CODES_LISTED = 5

_encode = msgspec.json.Encoder().encode


class _Shape(Record, frozen=True, kw_only=True, gc=False):
    """The names that an event has, by what they say."""

    times: tuple[str, ...]
    amounts: tuple[str, ...]
    currencies: tuple[str, ...]
    contents: tuple[str, ...]
    counts: tuple[str, ...]
    texts: tuple[tuple[str, Drop], ...]
    has_content_ids: bool
    identifiers: IdentifierShape


def _shape_of(keys: tuple[str, ...]) -> _Shape:
    return _Shape(
        times=present(_TIMES, keys),
        amounts=present(_AMOUNTS, keys),
        currencies=present(_CURRENCIES, keys),
        contents=present(_CONTENTS, keys),
        counts=present(_COUNTS, keys),
        texts=tuple((field, code) for field, code in _TEXTS if field in keys),
        has_content_ids="content_ids" in keys,
        identifiers=identifier_shape_of(keys),
    )


_shapes = Shapes(_shape_of)


def read_x(
    event: Mapping[str, object], pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired:
    """Read one event in X's own shape, or near it, into a Conversion."""
    tag = read_tag(event, pixel, format_is_stated=source.format_is_stated)
    if isinstance(tag, Problem):
        return Invalid(tag)
    shape = _shapes.of(event)
    time = event_time(event, shape.times, source)
    if isinstance(time, Problem):
        return Invalid(time)
    if settings.max_event_age_hours is not None:
        too_old = expired(time, source, settings.max_event_age_hours)
        if too_old is not None:
            return too_old
    dropped: list[Drop] = []
    identifiers = read_identifiers(event, shape.identifiers, settings.default_phone_region, dropped)
    if not identifiers:
        return Invalid(_no_identifier(dropped))
    dedup_key = conversion_id(event, pixel.conversion_id_from or _DEDUP_KEYS, source)
    wire: dict[str, object] = {
        "conversion_time": wire_time(time),
        "event_id": tag,
        "identifiers": identifiers,
        "conversion_id": dedup_key,
    }
    problem = _add_money(wire, event, shape, settings.default_currency, dropped)
    if problem is not None:
        return Invalid(problem)
    _add_goods(wire, event, shape, dropped)
    if shape.texts:
        _add_texts(wire, event, shape, dropped)
    return Conversion(
        pixel_id=pixel.pixel_id,
        event_tag=tag,
        conversion_id=dedup_key,
        wire=_encode(wire),
        dropped=tuple([drop.value for drop in dropped]) if dropped else (),
    )


def _no_identifier(dropped: list[Drop]) -> Problem:
    codes = ", ".join(list(dict.fromkeys(drop.value for drop in dropped))[:_MOST_CODES_LISTED])
    return Problem(
        path="identifiers",
        found=f"no usable identifier ({codes})" if codes else "no identifier",
        expected="an e-mail, a phone number or a twclid, or an ip_address together with a user_agent",
    )


def _add_money(
    wire: dict[str, object],
    event: Mapping[str, object],
    shape: _Shape,
    default_currency: str | None,
    dropped: list[Drop],
) -> Problem | None:
    """Add `value` and `price_currency` as far as they are there, or return the problem with either."""
    currency = None
    if shape.currencies:
        name, given = first_present(event, shape.currencies)
        currency = read_currency(given)
        if name and currency is None:
            return Problem(
                path=name, found=f"{kind_of(given)} that is no currency code", expected="three letters, ISO 4217"
            )
    name, given = first_present(event, shape.amounts)
    if name:
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
            return None
        wire["value"] = wire_amount(amount)
    if currency is not None:
        wire["price_currency"] = currency
    return None


def _add_goods(wire: dict[str, object], event: Mapping[str, object], shape: _Shape, dropped: list[Drop]) -> None:
    """Add `number_items` and `contents` as far as they are usable."""
    contents = _read_lines(event, shape, dropped)
    count = None
    if shape.counts:
        name, given = first_present(event, shape.counts)
        count = read_count(given)
        if name and count is None:
            dropped.append(Drop.INVALID_NUMBER_ITEMS)
    if count is None and contents:
        count = sum_of_counts(contents)
    if count is not None:
        wire["number_items"] = count
    if contents:
        wire["contents"] = contents


def _read_lines(event: Mapping[str, object], shape: _Shape, dropped: list[Drop]) -> list[ContentLine]:
    for name in shape.contents:
        given = event[name]
        # Templates leave an empty list under one name and fill another.
        if given != [] and not is_absent(given):
            return read_contents(given, dropped)
    if shape.has_content_ids and not is_absent(event["content_ids"]):
        return read_content_ids(event["content_ids"], event.get("content_type"), dropped)
    return []


def _add_texts(wire: dict[str, object], event: Mapping[str, object], shape: _Shape, dropped: list[Drop]) -> None:
    """Add the texts about the page and the event as far as they are usable."""
    for field, code in shape.texts:
        given = event[field]
        if is_absent(given):
            continue
        text = read_text(given)
        if text is not None and (field != "event_source_url" or is_url(text)):
            wire[field] = text
        elif not isinstance(given, str) or field == "event_source_url":
            dropped.append(code)
